/* While a payment is not at its end: asks what became of it, and draws the page anew as soon as that is known. */

import { call, Refused } from "./api.js";

const ASK_MS = 2_000;
const MOST_TRIES = 30; // a minute, and within the rate limit of look-ups
const result = document.getElementById("payment-result");
if (result) await follow(result.dataset);

async function follow({ paymentId, state }) {
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    let wait = 0;
    try {
      const found = await call("GET", `/api/payments/${encodeURIComponent(paymentId)}`);
      if (found.status !== state) {
        location.replace(`${location.pathname}?payment=${encodeURIComponent(paymentId)}`);
        return;
      }
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      wait = error.retryAfter * 1000;
    }
    await new Promise((resolve) => setTimeout(resolve, Math.max(ASK_MS, wait)));
  }
}
