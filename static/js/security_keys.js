/* Security keys are asked for by allauth's scripts. This shows the button that starts it where it can work,
   and says in words what became of it. */
(() => {
  "use strict";
  const button = document.querySelector("[data-security-key]");
  const status = document.querySelector("[data-security-key-status]");
  if (!button) return;

  const say = (text, isError) => {
    status.textContent = text;
    status.classList.toggle("kp-key-error", isError);
  };

  // An IP address has no name that a key could be bound to, and browsers refuse it.
  const isAddress = /^[\d.]+$|^\[/.test(location.hostname);
  if (isAddress || !window.isSecureContext || !window.PublicKeyCredential) {
    say(isAddress || !window.isSecureContext
      ? "Security keys work where this panel has a name and HTTPS, or at http://localhost, but not at this address. An authenticator app works here."
      : "This browser knows no security keys. An authenticator app works here.", true);
    return;
  }
  button.hidden = false;
  say("", false); // that there are no scripts

  button.addEventListener("click", () => say("Your browser asks for the key now.", false));
  // Enter in a field of the form means the same as the button.
  button.form.addEventListener("submit", (event) => {
    event.preventDefault();
    button.click();
  });

  document.addEventListener("allauth.error", (event) => {
    event.preventDefault(); // it is said on the page instead of on the console
    const said = {
      NotAllowedError: "The key was not used: it was cancelled, took too long, or is not one of this account's. Try again.",
      InvalidStateError: "This key is one of your account's already.",
      AbortError: "It was cancelled. Try again.",
    };
    say(said[event.detail.exception?.name] ?? "The key could not be used. Try again, or use another one.", true);
  });
})();
