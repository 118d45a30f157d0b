/* The product: Embedded Checkout in the page, and thanks without a reload once Stripe says that it is paid. */

import { call, freshKey, Refused } from "./api.js";
import { stripeFor } from "./stripe_loading.js";

const ASK_MS = 2_000;
const MOST_TRIES = 30; // a minute, and within the rate limit of session look-ups
const TOLD = {
  complete: ["Thank you!", "Your payment has arrived, and your board is being prepared."],
  open: ["Not paid yet", "Nothing was charged so far. You can start again."],
  expired: ["The payment form has expired", "Nothing was charged. You can start again."],
  unknown: ["We do not know this payment", "The address may be incomplete. If you paid, your receipt comes by e-mail."],
};

const product = document.getElementById("product");
const offer = document.getElementById("product-offer");
const frame = document.getElementById("product-checkout");
const result = document.getElementById("result");
const button = document.getElementById("product-buy");
const alert = document.getElementById("product-error");
const { stripeKey, stripeJs } = product.dataset;
let attempt = freshKey();
let sessionId = new URLSearchParams(location.search).get("session_id") || "";

button.addEventListener("click", buy);
button.disabled = false; // from here on, pressing it does what it says
if (sessionId) await thank();

async function buy() {
  button.disabled = true;
  alert.hidden = true;
  try {
    const [{ client_secret: secret }, stripe] = await Promise.all([ask(), stripeFor(stripeKey, stripeJs)]);
    sessionId = secret.split("_secret_")[0];
    // Called initEmbeddedCheckout by versions of Stripe.js before 2026-03-25.
    const open = (stripe.createEmbeddedCheckoutPage || stripe.initEmbeddedCheckout).bind(stripe);
    const checkout = await open({ fetchClientSecret: async () => secret, onComplete });
    frame.hidden = false;
    checkout.mount("#checkout");
    offer.classList.add("small");
    button.hidden = true;
    document.getElementById("checkout-title").focus();

    async function onComplete() {
      checkout.destroy();
      await thank();
    }
  } catch (error) {
    alert.textContent = error instanceof Refused ? error.message : "The payment form could not be opened. Please try again.";
    alert.hidden = false;
    button.disabled = false;
    if (!(error instanceof Refused)) throw error;
  }
}

async function ask() {
  try {
    const body = { product: product.dataset.product };
    return await call("POST", "/api/checkout/embedded-session", { body, idempotencyKey: attempt });
  } catch (error) {
    // Refused for good: the next try is a new attempt. Otherwise the same key goes on where it stopped.
    if (error instanceof Refused && error.status >= 400 && error.status < 500 && error.status !== 429) attempt = freshKey();
    throw error;
  }
}

/** Ask what became of the session until it is complete or patience ends. */
async function thank() {
  offer.hidden = true;
  frame.hidden = true;
  result.hidden = false;
  document.getElementById("result-title").focus();
  let status = "unknown";
  for (let tries = 1; tries <= MOST_TRIES; tries += 1) {
    try {
      ({ status } = await call("GET", `/api/checkout/session-status?session_id=${encodeURIComponent(sessionId)}`));
      if (status !== "open") break;
      // Who comes back without having paid need not wait a minute to hear it.
      if (tries === 3) tell(status);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.status === 400 || error.status === 404) break;
      await pause(error.retryAfter * 1000);
    }
    await pause(ASK_MS);
  }
  tell(status);
}

function tell(status) {
  const [title, sentence] = TOLD[status];
  result.dataset.state = status === "complete" ? "completed" : status === "open" ? "asking" : status;
  document.getElementById("result-title").textContent = title;
  document.getElementById("result-sentence").textContent = sentence;
  document.getElementById("result-again").hidden = status === "complete";
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
