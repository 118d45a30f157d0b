/* The Payment Element in a form of this site: mounted for a client secret, confirmed in the page. */

import { Refused } from "./api.js";
import { appearance, onDress } from "./stripe_loading.js";

export const PAYABLE = new Set(["requires_payment_method", "requires_confirmation"]);
const DONE_ALREADY = new Set(["payment_intent_unexpected_state", "setup_intent_unexpected_state"]);

/** Stripe's Elements for `secret`, the fields of which appear at `place`; the button of `form` waits for them. */
export function mountElement({ stripe, secret, form, place }) {
  const submit = form.querySelector("button[type=submit]");
  const elements = stripe.elements({ clientSecret: secret, appearance: appearance() });
  const element = elements.create("payment");
  element.on("ready", () => {
    submit.disabled = false;
  });
  element.on("loaderror", () => {
    const alert = form.querySelector(".form-error");
    alert.textContent = "The payment form could not be opened. Reload the page and try again.";
    alert.hidden = false;
  });
  element.mount(place);
  onDress(() => elements.update({ appearance: appearance() }));
  return elements;
}

/** Whether what Stripe was asked for is done, here or elsewhere meanwhile; false where the fields say what they miss.
    Throws Refused, with what Stripe says, for everything else. */
export function isDone({ error }) {
  if (!error || DONE_ALREADY.has(error.code)) return true;
  if (error.type === "validation_error") return false;
  const said = error.message || "That did not go through.";
  throw new Refused(error.type === "card_error" ? `${said} Nothing was charged. You can try another card.` : said);
}

/** "Visa •••• 4242" of a payment method as Stripe shows it. */
export function methodLabel({ type, card }) {
  const name = card?.brand || type;
  return `${name[0].toUpperCase()}${name.slice(1).replaceAll("_", " ")}${card?.last4 ? ` •••• ${card.last4}` : ""}`;
}

/** Never resolves while the browser is leaving, so that the buttons stay as they are. */
export function leaveFor(address) {
  location.assign(address);
  return new Promise((resolve) => setTimeout(resolve, 15_000));
}
