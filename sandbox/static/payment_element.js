/* Inside the Payment Element's frame: the fields, what is wrong with them, and the payment method made of them. */
(() => {
  "use strict";
  const form = document.getElementById("fields");
  const root = document.documentElement;
  const summary = document.getElementById("problem");
  let settings = { key: "", kinds: ["card"], options: {} };

  const COLOURS = { colorPrimary: "--accent", colorBackground: "--paper", colorText: "--ink", colorDanger: "--bad", colorTextSecondary: "--soft" };
  const PLAIN_COLOUR = /^(#[0-9a-f]{3,8}|[a-z]{3,20}|(rgb|hsl)a?\([\d\s.,%/]+\))$/i;
  const PLAIN_LENGTH = /^\d{1,3}(\.\d+)?(px|rem|em)$/;
  const PLAIN_FONT = /^[\w\s,'"-]{1,200}$/;

  const FIELDS = {
    card: {
      number: { incomplete: "Your card number is incomplete.", code: "incomplete_number", fits: (v) => /^\d{12,19}$/.test(v.replace(/[ -]/g, "")) },
      expiry: { incomplete: "Your card’s expiration date is incomplete.", code: "incomplete_expiry", fits: (v) => /^\d{1,2}\s*\/\s*(\d{2}|\d{4})$/.test(v) },
      cvc: { incomplete: "Your card’s security code is incomplete.", code: "incomplete_cvc", fits: (v) => /^\d{3,4}$/.test(v) },
    },
    sepa_debit: {
      iban: { incomplete: "Your IBAN is incomplete.", code: "incomplete_iban", fits: (v) => v.replace(/ /g, "").length > 14 },
      holder: { incomplete: "Please provide your name.", code: "incomplete_name", fits: (v) => v.trim() !== "" },
      email: { incomplete: "Please provide your e-mail address.", code: "incomplete_email", fits: (v) => /^[^@\s]+@[^@\s]+\.[^@\s.]+$/.test(v) },
    },
  };
  const BY_PARAM = { number: "number", exp_month: "expiry", exp_year: "expiry", cvc: "cvc", "sepa_debit[iban]": "iban" };

  const say = (type, body = {}) => window.parent.postMessage({ type, ...body }, "*"); // nothing that is secret
  const chosen = () => form.elements.method.value;
  const value = (name) => form.elements[name].value.trim();

  const look = (appearance = {}) => {
    const themes = { night: "dark", stripe: "light", flat: "light" };
    root.style.colorScheme = themes[appearance.theme] || "light dark";
    root.dataset.theme = themes[appearance.theme] || "";
    const variables = appearance.variables || {};
    for (const [name, property] of Object.entries(COLOURS)) {
      if (PLAIN_COLOUR.test(variables[name] || "")) root.style.setProperty(property, variables[name]);
    }
    if (PLAIN_LENGTH.test(variables.borderRadius || "")) root.style.setProperty("--radius", variables.borderRadius);
    if (PLAIN_FONT.test(variables.fontFamily || "")) root.style.setProperty("--font", variables.fontFamily);
  };

  const mark = (name, message) => {
    const field = form.elements[name];
    const note = document.getElementById(`${name}-problem`);
    note.textContent = message;
    if (message) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
  };

  const complete = () => Object.entries(FIELDS[chosen()]).every(([name, rule]) => rule.fits(value(name)));
  const empty = () => Object.keys(FIELDS[chosen()]).every((name) => value(name) === "");

  /** The first thing that is missing, as Stripe.js tells it; every field says its own. */
  const validate = () => {
    let first = null;
    summary.textContent = "";
    for (const [name, rule] of Object.entries(FIELDS[chosen()])) {
      const bad = !rule.fits(value(name));
      mark(name, bad ? rule.incomplete : "");
      if (bad && first === null) first = { name, error: { type: "validation_error", code: rule.code, message: rule.incomplete } };
    }
    if (first) form.elements[first.name].focus();
    return first ? { error: first.error } : { selectedPaymentMethod: chosen() };
  };

  const flattened = (given, name) => Object.entries(given || {}).flatMap(([key, inner]) => {
    if (inner === null || inner === undefined) return [];
    return typeof inner === "object" ? flattened(inner, `${name}[${key}]`) : [[`${name}[${key}]`, String(inner)]];
  });

  const method = async (billing) => {
    const checked = validate();
    if (checked.error) return checked;
    const kind = chosen();
    const body = new URLSearchParams([["key", settings.key], ["type", kind], ...flattened(billing, "billing_details")]);
    if (kind === "card") {
      const [month, year] = value("expiry").split("/").map((part) => part.trim());
      body.append("card[number]", value("number").replace(/[ -]/g, ""));
      body.append("card[exp_month]", month);
      body.append("card[exp_year]", year);
      body.append("card[cvc]", value("cvc"));
    } else {
      body.append("sepa_debit[iban]", value("iban"));
      body.set("billing_details[name]", value("holder"));
      body.set("billing_details[email]", value("email"));
    }
    try {
      const answer = await (await fetch("/v1/payment_methods", { method: "POST", body })).json();
      if (!answer.error) return { method: answer };
      const field = BY_PARAM[answer.error.param];
      if (field) mark(field, answer.error.message);
      else summary.textContent = answer.error.message;
      return { error: answer.error };
    } catch {
      return { error: { type: "api_connection_error", message: "The sandbox could not be reached. Please try again." } };
    }
  };

  const tellHeight = () => say("height", { height: Math.ceil(form.getBoundingClientRect().height) + 8 });

  const tellChange = () => say("change", { complete: complete(), empty: empty(), collapsed: false, value: { type: chosen() } });

  const grouped = (text) => text.replace(/[^\d]/g, "").slice(0, 19).replace(/(\d{4})(?=\d)/g, "$1 ");
  const dated = (text) => {
    const digits = text.replace(/[^\d]/g, "").slice(0, 6);
    return digits.length > 2 ? `${digits.slice(0, 2)} / ${digits.slice(2)}` : digits;
  };

  form.addEventListener("input", ({ target, inputType }) => {
    const deleting = (inputType || "").startsWith("delete");
    if (target.name === "number" && !deleting && target.selectionStart === target.value.length) target.value = grouped(target.value);
    if (target.name === "expiry" && !deleting && !target.value.includes("/")) target.value = dated(target.value);
    if (target.name !== "method") mark(target.name, "");
    summary.textContent = "";
    tellChange();
  });
  form.addEventListener("change", ({ target }) => {
    if (target.name === "method") tellChange();
  });
  form.addEventListener("focusin", () => say("focus"));
  form.addEventListener("focusout", () => say("blur"));
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") say("escape");
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  new ResizeObserver(tellHeight).observe(form);

  const start = (given) => {
    settings = given;
    look(given.appearance);
    const kinds = given.kinds.filter((kind) => kind in FIELDS);
    document.getElementById("choice").hidden = kinds.length < 2;
    form.elements.method.value = kinds[0] || "card";
    const known = given.options?.defaultValues?.billingDetails || {};
    form.elements.holder.value = known.name || "";
    form.elements.email.value = known.email || "";
    form.hidden = false;
    tellHeight();
    say("ready");
  };

  window.addEventListener("message", async ({ source, data }) => {
    if (source !== window.parent || window.parent === window) return;
    const { type, id } = data || {};
    if (type === "start") start(data);
    else if (type === "look") look(data.appearance);
    else if (type === "focus") form.elements[Object.keys(FIELDS[chosen()])[0]].focus();
    else if (type === "blur") document.activeElement?.blur();
    else if (type === "clear") form.reset();
    else if (type === "validate") say("answer", { id, answer: validate() });
    else if (type === "method") say("answer", { id, answer: await method(data.billing) });
  });
  say("loaded");
})();
