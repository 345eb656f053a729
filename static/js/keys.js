/* Forms about keys. Without this they work as well, and the server says what doesn't fit. */
(() => {
  "use strict";

  // A time that is typed is meant, and one that isn't meant is not sent.
  for (const choices of document.querySelectorAll("[data-expiry]")) {
    const at = choices.querySelector("input[type=datetime-local]");
    const mine = choices.querySelector("input[type=radio][value=at]");
    const show = () => { at.closest(".kp-choices-more").hidden = !mine.checked; };
    const typed = at.value;
    choices.addEventListener("change", (event) => {
      if (event.target.type !== "radio") return;
      if (mine.checked) at.value = at.value || typed;
      else at.value = "";
      show();
      if (mine.checked) at.focus();
    });
    show();
  }

  // Sent twice by a double click, a form would show the second answer: the one without the secret.
  for (const form of document.querySelectorAll("form[data-once]")) {
    let isSent = false;
    form.addEventListener("submit", (event) => {
      if (isSent) event.preventDefault();
      isSent = true;
    });
  }
  // Back by the browser's own history, the form can be sent again.
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
})();
