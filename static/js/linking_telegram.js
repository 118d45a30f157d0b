/* Linking one's Telegram chat: a code from the API, which the bot takes, and then the page anew. */

import { showAfterwards } from "./acts.js";
import { call, clearRefusal, once, Refused } from "./api.js";

const ASK_MS = 5_000;
const MOST_TRIES = 120; // as long as a code lives
const form = document.getElementById("telegram-form");

if (form) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    once(form, ask);
  });
  document.getElementById("telegram-link").disabled = false; // from here on, pressing it does what it says
}

async function ask() {
  clearRefusal(form);
  const path = document.getElementById("telegram").dataset.code;
  const made = await call("POST", path, { body: {} });
  if (!made.bot.startsWith("https://")) throw new Refused("The bot has no address. Please try again.");
  document.getElementById("telegram-open").href = made.bot;
  document.getElementById("telegram-start").textContent = `/start ${made.code}`;
  document.getElementById("telegram-code").hidden = false;
  form.hidden = true;
  document.getElementById("telegram-open").focus();
  follow(path);
}

async function follow(path) {
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, ASK_MS));
    if (document.hidden) continue;
    try {
      if ((await call("GET", path)).is_linked) return showAfterwards("Your Telegram chat is linked.");
    } catch (error) {
      if (!(error instanceof Refused)) throw error; // asked again a little later
    }
  }
  return null;
}
