/* A replay that goes on while somebody looks at it: what is new of it has its times written in the viewer's zone. */
(() => {
  "use strict";
  document.addEventListener("htmx:after:swap", () => document.dispatchEvent(new CustomEvent("koalapanel:refreshed")));
})();
