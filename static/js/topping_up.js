/* Topping up: start the payment, then confirm it with a saved method or with what is typed into the Payment Element. */

import { decimalPoint } from "./acts.js";
import { call, clearRefusal, freshKey, money, once, Refused } from "./api.js";
import { keep, kept } from "./keeping.js";
import { isDone, leaveFor, mountElement, PAYABLE } from "./paying.js";
import { stripeFor } from "./stripe_loading.js";

const KEPT = "topping-up"; // in this tab, so that a reloaded page goes on with the payment that it began
const { organizationId, currency, stripeKey, stripeJs, here } = document.getElementById("wallet").dataset;
const form = document.getElementById("top-up-form");
if (form) start();

function start() {
  const payment = document.getElementById("payment-form");
  const submit = document.getElementById("top-up-submit");
  const saveChoice = document.getElementById("save-choice");
  const presets = [...form.querySelectorAll("input[name=preset]")];
  const typed = form.elements.amount;
  let attempt = null; // what was asked for, and the key that makes asking again the same payment
  let going = null; // the payment that the Payment Element is for

  const chosen = () => typed.value.trim() || presets.find((preset) => preset.checked)?.value || "";
  const method = () => form.querySelector("input[name=method]:checked")?.value || "";
  const show = () => {
    const preset = !typed.value.trim() && presets.find((one) => one.checked);
    const label = preset ? ` ${form.querySelector(`label[for="${CSS.escape(preset.id)}"]`).textContent}` : "";
    submit.textContent = method() ? `Pay${label}` : `Go on to payment`;
    saveChoice.hidden = Boolean(method());
  };

  typed.addEventListener("input", () => {
    for (const preset of presets) preset.checked = false;
    show();
  });
  for (const preset of presets) {
    preset.addEventListener("change", () => {
      typed.value = "";
      clearRefusal(form);
      show();
    });
  }
  for (const choice of form.querySelectorAll("input[name=method]")) choice.addEventListener("change", show);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    once(form, begin);
  });
  payment.addEventListener("submit", (event) => {
    event.preventDefault();
    once(payment, pay);
  });
  document.getElementById("payment-back").addEventListener("click", () => {
    payment.hidden = true;
    form.hidden = false;
    typed.focus();
  });
  show();
  submit.disabled = false; // from here on, pressing it does what it says

  async function begin() {
    clearRefusal(form);
    const body = wanted();
    const written = JSON.stringify(body);
    attempt = [attempt, kept(KEPT)].find((one) => one?.written === written) || { written, key: freshKey() };
    // Stripe.js comes while the payment is started.
    const [started, stripe] = await Promise.all([ask(body), stripeFor(stripeKey, stripeJs)]);
    if (!PAYABLE.has(started.payment_intent.status)) {
      forget(); // paid meanwhile, by its link say: this is to be another one
      return begin();
    }
    going = { stripe, secret: started.client_secret, returnUrl: resultOf(started.payment_id) };
    if (body.payment_method_id) return payWithSaved();
    keep(KEPT, attempt);
    mount(started.payment_intent);
  }

  function forget() {
    attempt = null;
    keep(KEPT, null);
  }

  function wanted() {
    if (!chosen()) throw new Refused("", { fields: { amount: ["Choose or write an amount."] } });
    const body = { organization_id: organizationId, currency, amount: decimalPoint(chosen()) };
    if (method()) return { ...body, payment_method_id: method() };
    return { ...body, save_payment_method: form.elements.save.checked };
  }

  async function ask(body) {
    try {
      return await call("POST", "/api/payments/create-intent", { body, idempotencyKey: attempt.key });
    } catch (error) {
      // Refused for good: the next try is a new attempt. Otherwise the same key goes on where it stopped.
      if (error instanceof Refused && error.status >= 400 && error.status < 500 && error.status !== 429) forget();
      throw error;
    }
  }

  async function payWithSaved() {
    const { stripe, secret, returnUrl } = going;
    const confirmParams = { return_url: returnUrl };
    attempt = null; // once tried, the same card is tried again by a new payment
    isDone(await stripe.confirmPayment({ clientSecret: secret, confirmParams, redirect: "if_required" }));
    await leaveFor(returnUrl);
  }

  function mount(intent) {
    const place = document.getElementById("payment-element");
    place.replaceChildren();
    const button = document.getElementById("payment-submit");
    button.textContent = `Pay ${money(intent.amount, intent.currency)}`;
    document.getElementById("payment-title").textContent = `Top up ${money(intent.amount, intent.currency)}`;
    form.hidden = true;
    payment.hidden = false;
    button.disabled = true;
    going.elements = mountElement({ ...going, form: payment, place });
    document.getElementById("payment-title").focus();
  }

  /** Confirm; a decline is told, and the form stays for another card. */
  async function pay() {
    clearRefusal(payment);
    const { stripe, elements, returnUrl } = going;
    const confirmParams = { return_url: returnUrl };
    keep(KEPT, null); // a bank's page may take over from here: who comes back to top up again begins anew
    const answer = await stripe.confirmPayment({ elements, confirmParams, redirect: "if_required" });
    if (answer.error) keep(KEPT, attempt);
    if (isDone(answer)) await leaveFor(returnUrl);
  }
}

/** Where it is told what became of the payment, by itself or by way of the bank. */
function resultOf(paymentId) {
  return new URL(`${here}?payment=${encodeURIComponent(paymentId)}`, location.href).href;
}
