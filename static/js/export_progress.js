// Asks how far exports on this page are, and loads the page again once one is done. Without it, reload by hand.
"use strict";

const EVERY_MS = 2000;

async function watch(shown) {
  const answer = await fetch(shown.dataset.progress, { headers: { Accept: "application/json" } });
  if (!answer.ok) return; // logged out, or gone: the next visit will say so
  const { waiting, percent, told } = await answer.json();
  if (!waiting) {
    window.location.reload();
    return;
  }
  shown.querySelector("progress").value = percent ?? 0;
  shown.querySelector("[role=status]").textContent = told;
  setTimeout(watch, EVERY_MS, shown);
}

for (const shown of document.querySelectorAll("[data-progress]")) setTimeout(watch, EVERY_MS, shown);
