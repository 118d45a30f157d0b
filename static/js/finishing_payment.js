/* Going on with a payment that was declined, or that the bank wants to ask its holder about. */

import { call, clearRefusal, once } from "./api.js";
import { isDone, leaveFor, methodLabel, mountElement, PAYABLE } from "./paying.js";
import { stripeFor } from "./stripe_loading.js";

const { stripeKey, stripeJs, here } = document.getElementById("wallet").dataset;
const form = document.getElementById("finish-form");
const payment = document.getElementById("payment-form");
const { paymentId, failure } = form.dataset;
const returnUrl = new URL(`${here}?payment=${encodeURIComponent(paymentId)}`, location.href).href;
let stripe = null;
let secret = "";
let elements = null;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  once(form, open);
});
payment.addEventListener("submit", (event) => {
  event.preventDefault();
  once(payment, pay);
});
for (const choice of payment.querySelectorAll("input[name=method]")) choice.addEventListener("change", showFields);
document.getElementById("finish-submit").disabled = false; // from here on, pressing it does what it says
once(form, open); // whoever came here wants to pay

async function open() {
  clearRefusal(form);
  const [found, loaded] = await Promise.all([
    call("POST", `/api/payments/${encodeURIComponent(paymentId)}/client-secret`, { body: {} }),
    stripeFor(stripeKey, stripeJs),
  ]);
  stripe = loaded;
  secret = found.client_secret;
  const { paymentIntent, error } = await stripe.retrievePaymentIntent(secret);
  isDone({ error });
  if (paymentIntent.status === "requires_action") {
    isDone(await stripe.handleNextAction({ clientSecret: secret }));
    await leaveFor(returnUrl);
  } else if (!PAYABLE.has(paymentIntent.status)) await leaveFor(returnUrl);
  else offer(paymentIntent.last_payment_error?.payment_method);
}

/** The method that was tried, where the bank only wants to ask its holder; else another that is saved; a new one in any case. */
function offer(tried) {
  const earlier = document.getElementById("with-earlier");
  for (const same of payment.querySelectorAll("[data-saved]")) if (same.value === tried?.id) same.parentElement.remove();
  if (tried?.id) {
    earlier.value = tried.id;
    document.getElementById("earlier-label").textContent = methodLabel(tried);
  } else earlier.parentElement.remove();
  document.getElementById("method-choice").hidden = payment.querySelectorAll("input[name=method]").length === 1;
  const asksHolder = tried?.id && failure === "authentication_required";
  const saved = payment.querySelector("[data-saved]");
  (asksHolder ? earlier : saved || document.getElementById("with-other")).checked = true;
  form.hidden = true;
  payment.hidden = false;
  showFields();
  document.getElementById("payment-title").focus();
}

/** Stripe's id of the method to pay with; nothing for one that is typed in. */
function chosen() {
  return payment.querySelector("input[name=method]:checked").value;
}

function showFields() {
  const isKnown = Boolean(chosen());
  const place = document.getElementById("payment-element");
  place.hidden = isKnown;
  if (isKnown) document.getElementById("payment-submit").disabled = false;
  else elements ??= mountElement({ stripe, secret, form: payment, place });
}

/** Confirm; a decline is told, and the form stays for another card. */
async function pay() {
  clearRefusal(payment);
  const known = chosen();
  const confirmParams = { return_url: returnUrl, ...(known && { payment_method: known }) };
  const what = known ? { clientSecret: secret } : { elements };
  if (isDone(await stripe.confirmPayment({ ...what, confirmParams, redirect: "if_required" }))) await leaveFor(returnUrl);
}
