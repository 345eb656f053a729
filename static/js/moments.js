/* Every <time data-moment> in the viewer's own zone, every <span data-countdown> counted down beside it.
   The server writes both in UTC first, so that a page without scripts is right, too.

   The server's clock is the one that counts: a page says when it was rendered (data-now), and all
   countdowns run from there, whatever the viewer's clock says. */
(() => {
  "use strict";
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const day = new Intl.DateTimeFormat(undefined, { weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const date = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const year = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
  const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
  const DAY = 86_400_000;
  let offset = 0; // milliseconds the server's clock is ahead of ours

  const write = (element, text) => {
    if (element.textContent !== text) element.textContent = text; // an unchanged text is not touched
  };

  const inWords = (seconds, toTheSecond) => {
    if (seconds <= 0) return "now";
    const parts = [
      [Math.floor(seconds / 86400), "d"],
      [Math.floor(seconds / 3600) % 24, "h"],
      [Math.floor(seconds / 60) % 60, "min"],
      [seconds % 60, "s"],
    ];
    const first = parts.findIndex(([number]) => number > 0);
    return "in " + parts.slice(first, toTheSecond ? 4 : seconds < 3600 ? first + 1 : first + 2)
      .filter(([number]) => number > 0).map(([number, unit]) => `${number}\u00a0${unit}`).join(" ");
  };

  const tick = () => {
    const now = Date.now() + offset;
    for (const span of document.querySelectorAll("[data-countdown]")) {
      const seconds = Math.ceil((Date.parse(span.dataset.countdown) - now) / 1000);
      write(span, inWords(seconds, "toTheSecond" in span.dataset));
    }
  };

  const formatFor = (at, today) => {
    if (at.toDateString() === today.toDateString()) return time;
    if (Math.abs(at - today) < 6 * DAY) return day;
    return at.getFullYear() === today.getFullYear() ? date : year;
  };

  const localise = () => {
    const now = document.querySelector("[data-now]");
    if (now) offset = Date.parse(now.dataset.now) - Date.now();
    const today = new Date(Date.now() + offset);
    for (const element of document.querySelectorAll("time[data-moment]")) {
      const at = new Date(element.dateTime);
      write(element, formatFor(at, today).format(at));
      element.title = full.format(at);
    }
    for (const element of document.querySelectorAll("[data-zone]")) write(element, zone.replaceAll("_", " "));
    tick();
  };

  localise();
  setInterval(tick, 1000);
  document.addEventListener("koalapanel:refreshed", localise);
})();
