/* The donation form: one Checkout Session per intent to give, however often the button is pressed. */

import { busy, call, clearRefusal, freshKey, once, Refused } from "./api.js";

const form = document.getElementById("giving-form");
if (form) start();

function start() {
  const amount = form.elements.amount;
  const submit = document.getElementById("give");
  const presets = [...form.querySelectorAll("input[name=preset]")];
  let attempt = null; // the body that was sent, and its key

  const chosen = () => amount.value.trim() || presets.find((preset) => preset.checked)?.value || "";
  const relabel = () => {
    const preset = presets.find((radio) => radio.checked);
    const label = preset && form.querySelector(`label[for="${CSS.escape(preset.id)}"]`).textContent;
    submit.textContent = label && !amount.value.trim() ? `Donate ${label}` : "Donate";
  };

  amount.addEventListener("input", () => {
    for (const preset of presets) preset.checked = false;
    relabel();
  });
  for (const preset of presets) {
    preset.addEventListener("change", () => {
      amount.value = "";
      clearRefusal(form);
      relabel();
    });
  }
  for (const button of form.querySelectorAll("button[data-amount]")) {
    button.addEventListener("click", () => give(button.dataset.amount));
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    give(chosen());
  });
  // Back from the payment page: a further gift is a new one.
  window.addEventListener("pageshow", () => {
    attempt = null;
    busy(form, false);
  });
  relabel();

  function give(value) {
    return once(form, async () => {
      clearRefusal(form);
      const body = gift(value);
      const written = JSON.stringify(body);
      if (attempt?.written !== written) attempt = { written, key: freshKey() };
      try {
        const started = await call("POST", "/api/donations/create-checkout-session/", { body, idempotencyKey: attempt.key });
        remember();
        await leaveFor(started.url);
      } catch (error) {
        // Refused for good: the next try is a new attempt. Otherwise the same key goes on where it stopped.
        if (error instanceof Refused && error.status >= 400 && error.status < 500 && error.status !== 429) attempt = null;
        throw error;
      }
    });
  }
}

/** The body of the request; what was left empty is left out. */
function gift(value) {
  if (!value) throw new Refused("", { fields: { amount: ["Choose or write an amount."] } });
  const fields = form.elements;
  const body = { amount: decimalPoint(value), currency: form.dataset.currency, anonymous: fields.anonymous.checked };
  if (form.dataset.campaignId) body.campaign_id = form.dataset.campaignId;
  for (const name of ["donor_name", "email", "message"]) {
    if (fields[name].value.trim()) body[name] = fields[name].value.trim();
  }
  const name = fields.dedication_name.value.trim();
  const kind = fields.dedication_kind.value;
  if (kind && !name) throw new Refused("", { fields: { "dedication.name": ["Write whose name it is for."] } });
  if (name && !kind) throw new Refused("", { fields: { "dedication.kind": ["Choose what kind of dedication it is."] } });
  if (kind) body.dedication = { kind, name };
  return body;
}

/** "12,50" as many people write it; anything else goes to the server as it is, which says what is wrong with it. */
function decimalPoint(value) {
  return /^\d+,\d{1,2}$/.test(value) ? value.replace(",", ".") : value;
}

/** For "try again" on the page that says that nothing was charged. */
function remember() {
  try {
    sessionStorage.setItem("gave-from", location.pathname + location.search);
  } catch {
    // storage may be switched off; then "try again" leads to the general form
  }
}

/** Never resolves while the browser is leaving, so that the buttons stay as they are. */
function leaveFor(url) {
  if (!/^https?:\/\//.test(url)) throw new Refused("The payment page has no address. Please try again.");
  location.assign(url);
  return new Promise((resolve) => setTimeout(resolve, 15_000));
}
