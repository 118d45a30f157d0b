/* Stripe.js, fetched when somebody wants to pay and not before, and dressed as this site is. */

import { Refused } from "./api.js";

const PATIENCE_MS = 20_000;
const dark = matchMedia("(prefers-color-scheme: dark)");
let loading = null;

/** Stripe's object for a publishable key; throws Refused where its script cannot be had. */
export async function stripeFor(key, address) {
  loading ??= script(address);
  try {
    await loading;
  } catch (error) {
    loading = null;
    throw error;
  }
  return window.Stripe(key);
}

/** The site's colours for the Payment Element, as they are now. */
export function appearance() {
  const styles = getComputedStyle(document.documentElement);
  const colour = (name) => styles.getPropertyValue(name).trim();
  return {
    theme: dark.matches ? "night" : "stripe",
    variables: {
      colorPrimary: colour("--green"),
      colorBackground: colour("--paper"),
      colorText: colour("--ink"),
      colorTextSecondary: colour("--muted"),
      colorDanger: colour("--red"),
      borderRadius: "10px",
    },
  };
}

/** Call `dress` whenever day becomes night. */
export function onDress(dress) {
  dark.addEventListener("change", dress);
}

function script(address) {
  return new Promise((resolve, reject) => {
    const element = document.createElement("script");
    const refuse = () => {
      element.remove();
      reject(new Refused("Stripe's payment form could not be loaded. Check your connection, and whether something blocks it."));
    };
    const timer = setTimeout(refuse, PATIENCE_MS);
    element.addEventListener("error", () => {
      clearTimeout(timer);
      refuse();
    });
    element.addEventListener("load", () => {
      clearTimeout(timer);
      if (window.Stripe) resolve();
      else refuse();
    });
    element.src = address;
    document.head.append(element);
  });
}
