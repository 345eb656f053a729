/* Buttons that copy a text, by its element's id in data-copy. A page with a secret on it also asks before it is
   left uncopied. Without this the text can be selected, and nothing asks. */
(() => {
  "use strict";
  const secret = document.getElementById("secret");
  const said = document.getElementById("copied");
  let isCopied = false;

  const select = (element) => {
    const range = document.createRange();
    range.selectNodeContents(element);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  };

  const copy = async (element) => {
    try {
      await navigator.clipboard.writeText(element.textContent);
      return true;
    } catch {
      // Over plain HTTP there is no clipboard to write to; the old way needs none, but a selection.
      select(element);
      return document.execCommand("copy");
    }
  };

  for (const button of document.querySelectorAll("[data-copy]")) {
    const words = button.querySelector("[data-text]");
    const before = words.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const done = await copy(document.getElementById(button.dataset.copy));
      isCopied = isCopied || done;
      words.textContent = done ? "Copied" : "Press Ctrl+C";
      said.textContent = done ? "Copied to the clipboard." : "Selected. Copy it with Ctrl+C.";
      setTimeout(() => { words.textContent = before; }, 4000);
    });
  }

  if (!secret) return;

  // By hand is as good.
  document.addEventListener("copy", () => {
    if (getSelection().toString().includes(secret.textContent)) isCopied = true;
  });
  document.querySelector("[data-copied]").addEventListener("click", () => { isCopied = true; });
  window.addEventListener("beforeunload", (event) => {
    if (!isCopied) event.preventDefault();
  });
})();
