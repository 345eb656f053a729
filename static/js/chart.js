/* Draws every [data-chart]: bars over time, stacked, and a level across them. The numbers are in a JSON script
   whose id it names; when a page refreshes itself they change, and the bars move. Without this, or without
   Chart.js, the table below is open and says the same.

   Colours are those of the page, read anew when its colour scheme changes; those under the pointer are told,
   because Chart.js can't mix what oklch() names. Chart.js styles its canvas through
   the style object, which a Content-Security-Policy allows. */
(() => {
  "use strict";
  if (typeof Chart === "undefined") return; // it wasn't loaded: the table says it all
  const charts = new Map();
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const formats = {
    minute: { hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
    hour: { hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
    day: { day: "numeric", month: "short", timeZone: "UTC" }, // days are UTC's, whoever looks
  };
  const long = {
    minute: formats.minute,
    hour: { weekday: "short", ...formats.hour },
    day: { weekday: "short", ...formats.day },
  };
  const numbers = new Intl.NumberFormat();

  const colours = () => {
    const probe = document.createElement("span");
    probe.hidden = true;
    document.body.append(probe);
    const read = (value) => {
      probe.style.color = value;
      return getComputedStyle(probe).color;
    };
    const found = {
      served: read("var(--kp-chart-served)"), refused: read("var(--kp-chart-refused)"),
      one: read("var(--kp-chart-1)"), two: read("var(--kp-chart-2)"), three: read("var(--kp-chart-3)"), four: read("var(--kp-chart-4)"),
      line: read("var(--kp-chart-line)"), grid: read("var(--kp-chart-grid)"), text: read("var(--kp-quiet)"),
      surface: read("var(--tblr-bg-surface)"), heading: read("var(--tblr-heading-color)"), body: read("var(--tblr-body-color)"),
      border: read("var(--tblr-border-color)"),
    };
    probe.remove();
    return found;
  };

  const labels = (data, style) => {
    const format = new Intl.DateTimeFormat(undefined, style[data.unit]);
    return data.starts.map((start) => format.format(new Date(start)));
  };

  const datasets = (data, colour) => {
    const bars = data.stacks.map((stack) => ({
      label: stack.name, data: stack.values,
      backgroundColor: colour[stack.role] ?? colour.served, hoverBackgroundColor: colour[stack.role] ?? colour.served,
      stack: stack.bar, order: 1, borderRadius: 3, borderSkipped: "start", maxBarThickness: 26,
      categoryPercentage: 0.86, barPercentage: 0.92,
    }));
    if (!data.line) return bars;
    return [...bars, {
      type: "line", label: data.line.name, data: data.starts.map(() => data.line.value), order: 0,
      borderColor: colour.line, borderWidth: 1.5, borderDash: [5, 4], pointRadius: 0, pointHitRadius: 0, fill: false,
    }];
  };

  const options = (colour, data) => ({
    responsive: true,
    maintainAspectRatio: false,
    animation: still.matches ? false : { duration: 250 },
    interaction: { mode: "index", intersect: false },
    plugins: {
      legend: { display: false },
      tooltip: {
        backgroundColor: colour.surface, titleColor: colour.heading, bodyColor: colour.body,
        borderColor: colour.border, borderWidth: 1, padding: 10, boxPadding: 4, cornerRadius: 8, usePointStyle: true,
        callbacks: {
          title: ([first]) => labels(data(), long)[first.dataIndex],
          label: (item) => ` ${numbers.format(item.parsed.y)} ${item.dataset.label.toLowerCase()}`,
        },
        filter: (item) => item.dataset.type !== "line",
      },
    },
    scales: {
      x: { stacked: true, grid: { display: false }, border: { color: colour.grid }, ticks: { color: colour.text, maxRotation: 0, autoSkipPadding: 18 } },
      y: { stacked: true, beginAtZero: true, suggestedMax: 4, border: { display: false }, grid: { color: colour.grid },
        ticks: { color: colour.text, precision: 0, maxTicksLimit: 6 } },
    },
  });

  const scheme = () => getComputedStyle(document.documentElement).colorScheme + matchMedia("(prefers-color-scheme: dark)").matches;

  const begin = (holder, text) => {
    const state = { text, data: JSON.parse(text), scheme: scheme() };
    const colour = colours();
    holder.hidden = false;
    state.chart = new Chart(holder.querySelector("canvas"), {
      type: "bar",
      data: { labels: labels(state.data, formats), datasets: datasets(state.data, colour) },
      options: options(colour, () => state.data),
    });
    charts.set(holder, state);
    const table = holder.parentElement.querySelector("[data-chart-table]");
    if (table) table.open = false;
  };

  const follow = (state, text) => {
    if (state.text === text && state.scheme === scheme()) return;
    state.text = text;
    state.data = JSON.parse(text);
    const colour = colours();
    if (state.scheme !== scheme()) state.chart.options = options(colour, () => state.data);
    state.scheme = scheme();
    state.chart.data.labels = labels(state.data, formats);
    state.chart.data.datasets = datasets(state.data, colour);
    state.chart.update(still.matches ? "none" : undefined);
  };

  const drawAll = () => {
    for (const [holder, state] of charts) {
      if (holder.isConnected) continue;
      state.chart.destroy(); // its part of the page was replaced
      charts.delete(holder);
    }
    for (const holder of document.querySelectorAll("[data-chart]")) {
      const text = document.getElementById(holder.dataset.chart)?.textContent;
      if (!text) continue;
      if (charts.has(holder)) follow(charts.get(holder), text);
      else begin(holder, text);
    }
  };

  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  Chart.defaults.font.size = 12;
  drawAll();
  document.addEventListener("koalapanel:refreshed", drawAll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  new MutationObserver(drawAll).observe(document.documentElement, { attributes: true, attributeFilter: ["data-bs-theme"] });
})();
