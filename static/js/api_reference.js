/* Swagger UI's dark theme is switched on by a class of the page: here, as the reader's system has it. It is loaded before the
   page is drawn, so that nothing flashes white. */

"use strict";

const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");

function followTheSystem() {
  document.documentElement.classList.toggle("dark-mode", prefersDark.matches);
}

prefersDark.addEventListener("change", followTheSystem);
followTheSystem();
