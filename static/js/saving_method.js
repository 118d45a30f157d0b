/* Saving a payment method for later: nothing is charged. */

import { showAfterwards } from "./acts.js";
import { call, clearRefusal, freshKey, once } from "./api.js";
import { isDone, mountElement } from "./paying.js";
import { stripeFor } from "./stripe_loading.js";

const ASK_MS = 1_000;
const MOST_TRIES = 20;
const { organizationId, stripeKey, stripeJs, here } = document.getElementById("wallet").dataset;
const starting = document.getElementById("saving-form");
const form = document.getElementById("method-form");
const key = freshKey(); // one SetupIntent for each visit of the page, however often the button is pressed
let stripe = null;
let elements = null;

starting.addEventListener("submit", (event) => {
  event.preventDefault();
  once(starting, start);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  once(form, save);
});
document.getElementById("saving-start").disabled = false; // from here on, pressing it does what it says

async function start() {
  clearRefusal(starting);
  const body = { organization_id: organizationId };
  const [started, loaded] = await Promise.all([
    call("POST", "/api/payments/methods/setup-intent", { body, idempotencyKey: key }),
    stripeFor(stripeKey, stripeJs),
  ]);
  stripe = loaded;
  starting.hidden = true;
  form.hidden = false;
  elements = mountElement({ stripe, secret: started.client_secret, form, place: document.getElementById("method-element") });
  document.getElementById("method-form-title").focus();
}

async function save() {
  clearRefusal(form);
  const before = await listed();
  const confirmParams = { return_url: new URL(`${here}#methods`, location.href).href };
  if (!isDone(await stripe.confirmSetup({ elements, confirmParams, redirect: "if_required" }))) return;
  const isThere = await appeared(before);
  await showAfterwards(isThere ? "Your payment method is saved." : "Stripe has saved your payment method; it shows here in a minute.");
}

/** Stripe tells the server by itself; a page that was drawn again too early would lack what was just saved. */
async function appeared(before) {
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    if ((await listed()) !== before) return true;
    await new Promise((resolve) => setTimeout(resolve, ASK_MS));
  }
  return false;
}

async function listed() {
  const found = await call("GET", `/api/payments/methods?organization_id=${encodeURIComponent(organizationId)}`);
  return found.payment_methods.map((method) => method.id).join();
}
