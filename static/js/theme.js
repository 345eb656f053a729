/* Light, dark or as the system says. Loaded in the head and not deferred, so that no page flashes in the
   wrong one. Without this script (or a choice) the style sheet follows prefers-color-scheme by itself. */
(() => {
  "use strict";
  const KEY = "koalapanel-theme";
  const root = document.documentElement;

  const stored = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // storage is off: the choice lasts for this page
    }
  };

  const apply = (choice) => {
    if (choice === "light" || choice === "dark") root.dataset.bsTheme = choice;
    else delete root.dataset.bsTheme;
    for (const button of document.querySelectorAll("[data-theme-choice]")) {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === (choice ?? "auto")));
    }
  };

  apply(stored());

  document.addEventListener("DOMContentLoaded", () => {
    for (const group of document.querySelectorAll("[data-theme-switch]")) group.hidden = false;
    apply(stored());
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-theme-choice]");
    if (!button) return;
    const choice = button.dataset.themeChoice;
    try {
      if (choice === "auto") localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, choice);
    } catch {
      // as above
    }
    apply(choice);
  });

  window.addEventListener("storage", (event) => {
    if (event.key === KEY) apply(event.newValue); // another tab chose
  });
})();
