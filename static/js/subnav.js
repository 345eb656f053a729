/* Where the second row of links is wider than the window, the page one is on comes into view. */
(() => {
  "use strict";
  const here = document.querySelector(".kp-subnav [aria-current]");
  if (!here) return;
  const row = here.parentElement;
  const show = () => { row.scrollLeft = here.offsetLeft - row.offsetLeft - (row.clientWidth - here.offsetWidth) / 2; };
  show();
  addEventListener("resize", show);
})();
