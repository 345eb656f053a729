/* Keeps a page fresh (usage, jobs, the overview): asks htmx for its live part every few seconds while somebody looks at it.

   The page would say so itself (hx-trigger="every 3s[…]"), but a condition there is evaluated as code, which
   our Content-Security-Policy forbids. */
(() => {
  "use strict";
  const live = document.getElementById("live");
  const pulse = document.getElementById("pulse");
  const announcement = document.getElementById("announcement");
  if (!live) return;
  const seconds = Number(live.dataset.every ?? 3);

  // How things stand, as it is said aloud: without countdowns, which would be news every second.
  const headline = () => {
    const words = live.querySelector("[data-announce]")?.cloneNode(true);
    if (!words) return "";
    for (const countdown of words.querySelectorAll("[data-countdown]")) countdown.remove();
    return words.textContent.replace(/\s+/g, " ").replace(/ \./g, ".").trim();
  };
  let announced = headline();
  let waiting = false;

  const say = (state, text) => {
    pulse.hidden = false;
    pulse.dataset.state = state;
    pulse.querySelector("[data-text]").textContent = text;
  };

  const refresh = () => {
    if (document.visibilityState !== "visible" || waiting) return;
    live.dispatchEvent(new CustomEvent("refresh"));
  };

  live.addEventListener("htmx:before:request", () => { waiting = true; });
  live.addEventListener("htmx:finally:request", () => { waiting = false; });
  live.addEventListener("htmx:error", () => say("lost", "Reconnecting"));
  live.addEventListener("htmx:after:swap", () => {
    document.dispatchEvent(new CustomEvent("koalapanel:refreshed"));
    say("live", "Live");
    // A screen reader hears how things stand only when that has changed, never the numbers every 3 seconds.
    if (headline() !== announced) {
      announced = headline();
      announcement.textContent = announced;
    }
  });

  // Links that change what the live part shows: their query becomes its own, and the page's.
  live.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-live-link]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    live.setAttribute("hx-get", live.getAttribute("hx-get").split("?")[0] + link.search);
    history.replaceState(null, "", link.href);
    waiting = false;
    refresh();
  });

  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") refresh();
    else say("paused", "Paused");
  });

  document.getElementById("still").hidden = true;
  say("live", "Live");
  setInterval(refresh, seconds * 1000);
})();
