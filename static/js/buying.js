/* Buying a plan: start the purchase, mount the Payment Element, confirm, and go where it is told what became of it. */

import { call, clearRefusal, freshKey, money, once, Refused } from "./api.js";
import { keep, kept } from "./keeping.js";
import { appearance, onDress, stripeFor } from "./stripe_loading.js";

const place = document.getElementById("buying");
const buyer = document.getElementById("buyer-form");
const payment = document.getElementById("payment-form");
const submit = document.getElementById("payment-submit");
const { planId, currency, amount, stripeKey, stripeJs } = place.dataset;
const KEPT = "buying"; // in this tab, so that a reloaded page goes on with the purchase that it began
let attempt = null; // what was asked for, and the key that makes asking again the same purchase
let stripe = null;
let elements = null;
let secret = "";

buyer.addEventListener("submit", (event) => {
  event.preventDefault();
  once(buyer, start);
});
payment.addEventListener("submit", (event) => {
  event.preventDefault();
  once(payment, pay);
});
document.getElementById("buyer-submit").disabled = false; // from here on, pressing it does what it says

async function start() {
  clearRefusal(buyer);
  const body = { plan_id: Number(planId), currency, ...who() };
  const written = JSON.stringify({ ...body, amount });
  attempt = [attempt, kept(KEPT)].find((one) => one?.written === written) || { written, key: freshKey() };
  // Stripe.js comes while the purchase is started.
  const [started, loaded] = await Promise.all([ask(body), stripeFor(stripeKey, stripeJs)]);
  secret = started.client_secret;
  stripe = loaded;
  keep(KEPT, attempt);
  mount(body);
  if (started.amount !== amount || started.currency !== currency.toUpperCase()) tellPrice(started);
}

/** The price was changed since this page was opened, or credit lowered it: what will be charged is what the button says. */
function tellPrice(started) {
  const price = money(started.amount, started.currency);
  submit.textContent = `Pay ${price}`;
  tell(`The price is ${price} now.`);
}

/** A guest's name and address; nothing for somebody who is logged in. */
function who() {
  const { name, email } = buyer.elements;
  if (!name) return {};
  const info = { name: name.value.trim(), email: email.value.trim() };
  const fields = {};
  if (!info.name) fields["student_info.name"] = ["Write your name."];
  if (!info.email) fields["student_info.email"] = ["Write your e-mail address."];
  if (Object.keys(fields).length) throw new Refused("", { fields });
  return { student_info: info };
}

async function ask(body) {
  try {
    return await call("POST", "/api/finances/api/purchase/initiate/", { body, idempotencyKey: attempt.key });
  } catch (error) {
    // Refused for good: the next try is a new attempt. Otherwise the same key goes on where it stopped.
    if (error instanceof Refused && error.status >= 400 && error.status < 500 && error.status !== 429) {
      attempt = null;
      keep(KEPT, null);
    }
    throw error;
  }
}

function mount(body) {
  elements = stripe.elements({ clientSecret: secret, appearance: appearance() });
  const element = elements.create("payment");
  element.on("ready", () => {
    submit.disabled = false;
  });
  element.on("loaderror", () => {
    keep(KEPT, null); // paid or given up in another tab, say
    tell("The payment form could not be opened. Reload the page and try again.");
  });
  element.mount("#payment-element");
  onDress(() => elements.update({ appearance: appearance() }));
  const info = body.student_info;
  document.getElementById("payment-buyer").textContent = info ? `${info.name}, ${info.email}` : document.getElementById("buyer-known").innerText.replace("\n", ", ");
  buyer.hidden = true;
  payment.hidden = false;
  document.getElementById("payment-title").focus();
}

/** Confirm; a decline is told, and the form stays for another card. */
async function pay() {
  clearRefusal(payment);
  const returnUrl = new URL(place.dataset.return, location.href).href;
  keep(KEPT, null); // a bank's page may take over from here: who comes back to buy again begins anew
  const { error, paymentIntent } = await stripe.confirmPayment({
    elements,
    confirmParams: { return_url: returnUrl },
    redirect: "if_required",
  });
  if (!error) return leaveFor(returnUrl, paymentIntent.id);
  // Paid or given up elsewhere meanwhile, in another tab say: the next page knows.
  if (error.code === "payment_intent_unexpected_state") return leaveFor(returnUrl, secret.split("_secret_")[0]);
  keep(KEPT, attempt);
  if (error.type !== "validation_error") throw new Refused(sentence(error)); // the fields tell of themselves
}

function sentence(error) {
  const said = error.message || "The payment did not go through.";
  return error.type === "card_error" ? `${said} Nothing was charged. You can try another card.` : said;
}

function tell(words) {
  const alert = payment.querySelector(".form-error");
  alert.textContent = words;
  alert.hidden = false;
}

/** As Stripe itself leads back after the bank's page. Never resolves while the browser is leaving. */
function leaveFor(address, intent) {
  const target = new URL(address);
  target.searchParams.set("payment_intent", intent);
  target.searchParams.set("payment_intent_client_secret", secret);
  location.assign(target);
  return new Promise((resolve) => setTimeout(resolve, 15_000));
}
