/* The sandbox's stand-in for Stripe.js: the same calls, against the sandbox that served this file.
   Card numbers are typed into a frame of the sandbox's own, as with the real one, and never reach the page. */
(() => {
  "use strict";
  const SOURCE = new URL(document.currentScript.src);
  const ORIGIN = SOURCE.origin;
  const RENAMED = SOURCE.pathname.includes("/dahlia/"); // since then initEmbeddedCheckout has another name
  const POLL_MS = 500;
  const INTENTS = {
    payment: { path: "payment_intents", prefix: "pi_", result: "paymentIntent", param: "payment_intent", last: "last_payment_error" },
    setup: { path: "setup_intents", prefix: "seti_", result: "setupIntent", param: "setup_intent", last: "last_setup_error" },
  };

  class IntegrationError extends Error {
    constructor(message) {
      super(message);
      this.name = "IntegrationError";
    }
  }

  const flattened = (value, name = "") => {
    if (value === null || value === undefined) return [];
    if (typeof value !== "object") return [[name, String(value)]];
    return Object.entries(value).flatMap(([key, inner]) => flattened(inner, name ? `${name}[${key}]` : key));
  };

  /** The JSON that Stripe's API answers; `{error}` where it refuses, or cannot be reached. */
  const call = async (method, path, key, params) => {
    const form = new URLSearchParams([...flattened(params), ["key", key]]);
    try {
      const url = `${ORIGIN}/v1/${path}${method === "GET" ? `?${form}` : ""}`;
      const answer = await fetch(url, method === "GET" ? {} : { method, body: form });
      return await answer.json();
    } catch {
      const message = "We are experiencing issues connecting to our payments provider. Please try again.";
      return { error: { type: "api_connection_error", message } };
    }
  };

  const nodeOf = (target) => {
    const node = typeof target === "string" ? document.querySelector(target) : target;
    if (!(node instanceof Element)) throw new IntegrationError(`The selector you specified (${target}) applies to no DOM element.`);
    return node;
  };

  const frame = (path, title) => {
    const made = document.createElement("iframe");
    made.src = ORIGIN + path;
    made.title = title;
    Object.assign(made.style, { border: "0", width: "100%", display: "block", colorScheme: "normal" });
    return made;
  };

  const secretParts = (secret, kind) => {
    const wanted = INTENTS[kind].prefix;
    if (typeof secret !== "string" || !secret.startsWith(wanted) || !secret.includes("_secret_")) {
      throw new IntegrationError(`Invalid value for clientSecret: it should be a client secret of the form ${wanted}..._secret_...`);
    }
    return secret.split("_secret_")[0];
  };

  /** A window within the page for the bank's question; it closes as soon as the intent no longer waits. */
  const challenge = (url, stillWaits) => new Promise((resolve) => {
    const dialog = document.createElement("dialog");
    dialog.setAttribute("aria-label", "3D Secure authentication");
    Object.assign(dialog.style, { width: "min(32rem, 94vw)", height: "min(32rem, 90vh)", padding: "0", border: "0", borderRadius: "12px" });
    const inside = frame(url.slice(ORIGIN.length), "3D Secure authentication");
    inside.style.height = "100%";
    dialog.append(inside);
    dialog.addEventListener("cancel", (event) => event.preventDefault()); // the bank's page has a way out of its own
    document.body.append(dialog);
    dialog.showModal();
    let asking = false;
    const look = async () => {
      if (asking) return;
      asking = true;
      const waits = await stillWaits();
      asking = false;
      if (waits || !dialog.isConnected) return;
      clearInterval(timer);
      dialog.close();
      dialog.remove();
      resolve();
    };
    const timer = setInterval(look, POLL_MS);
    inside.addEventListener("load", look);
  });

  class PaymentElement {
    constructor(elements, options) {
      this.elements = elements;
      this.options = options || {};
      this.listeners = new Map();
      this.waiting = new Map();
      this.serial = 0;
      this.hear = (event) => {
        if (this.frame && event.source === this.frame.contentWindow && event.origin === ORIGIN) this.heard(event.data);
      };
    }

    on(name, listener) {
      this.listeners.set(name, [...(this.listeners.get(name) || []), listener]);
      return this;
    }

    once(name, listener) {
      const first = (event) => {
        this.off(name, first);
        listener(event);
      };
      return this.on(name, first);
    }

    off(name, listener) {
      this.listeners.set(name, listener ? (this.listeners.get(name) || []).filter((one) => one !== listener) : []);
      return this;
    }

    tell(name, event) {
      (this.listeners.get(name) || []).forEach((listener) => listener({ elementType: "payment", ...event }));
    }

    mount(target) {
      const node = nodeOf(target);
      if (this.frame) throw new IntegrationError("This Element is already mounted. Call unmount() before mounting it again.");
      this.loaded = new Promise((resolve) => { this.isLoaded = resolve; });
      this.frame = frame("/elements/payment", "Secure payment input frame");
      this.frame.style.height = "17rem";
      window.addEventListener("message", this.hear);
      node.replaceChildren(this.frame);
    }

    unmount() {
      window.removeEventListener("message", this.hear);
      this.frame?.remove();
      this.frame = null;
    }

    destroy() {
      this.unmount();
      this.elements.forget(this);
    }

    async heard({ type, id, ...rest }) {
      if (type === "loaded") this.say("start", { ...(await this.elements.settings()), options: this.options });
      else if (type === "ready") {
        this.isLoaded();
        this.tell("ready", {});
      } else if (type === "height") this.frame.style.height = `${rest.height}px`;
      else if (type === "answer") {
        this.waiting.get(id)?.(rest.answer);
        this.waiting.delete(id);
      } else if (type) this.tell(type, rest);
    }

    say(type, body = {}) {
      this.frame?.contentWindow?.postMessage({ type, ...body }, ORIGIN);
    }

    async ask(type, body = {}) {
      if (!this.frame) throw new IntegrationError("Please make sure the payment Element is mounted before confirming.");
      await this.loaded;
      this.serial += 1;
      const id = this.serial;
      return new Promise((resolve) => {
        this.waiting.set(id, resolve);
        this.say(type, { ...body, id });
      });
    }

    update(options) {
      this.options = { ...this.options, ...options };
    }

    focus() { this.say("focus"); }
    blur() { this.say("blur"); }
    clear() { this.say("clear"); }
    collapse() {}
  }

  class Elements {
    constructor(key, options) {
      this.key = key;
      this.options = options;
      this.payment = null;
      const { clientSecret, mode } = options;
      if (!clientSecret && !mode) throw new IntegrationError("In order to create a payment element, you must pass a clientSecret or mode.");
      this.kind = clientSecret ? (clientSecret.startsWith("seti_") ? "setup" : "payment") : mode === "setup" ? "setup" : "payment";
      if (clientSecret) secretParts(clientSecret, this.kind);
    }

    /** What the frame needs to know: which methods there are, and how to look. */
    async settings() {
      const { clientSecret, appearance = {}, locale } = this.options;
      const settings = { key: this.key, appearance, locale, kinds: this.options.paymentMethodTypes || ["card"] };
      if (!clientSecret) return settings;
      const shape = INTENTS[this.kind];
      const found = await call("GET", `${shape.path}/${secretParts(clientSecret, this.kind)}`, this.key, { client_secret: clientSecret });
      if (found.error) {
        this.payment?.tell("loaderror", { error: found.error });
        return settings;
      }
      return { ...settings, kinds: found.payment_method_types };
    }

    create(type, options) {
      if (type !== "payment") throw new IntegrationError(`The sandbox has no ${type} Element; Stripe may.`);
      if (this.payment) throw new IntegrationError("Can only create one Element of type payment through this Elements instance.");
      this.payment = new PaymentElement(this, options);
      return this.payment;
    }

    getElement(type) { return type === "payment" ? this.payment : null; }
    forget() { this.payment = null; }

    async submit() {
      if (!this.payment) throw new IntegrationError("Create and mount a payment Element before submitting.");
      return this.payment.ask("validate");
    }

    async update(options) {
      this.options = { ...this.options, ...options };
      if (options.appearance) this.payment?.say("look", { appearance: options.appearance });
    }

    async fetchUpdates() { return {}; }
    on() { return this; }
  }

  class EmbeddedCheckout {
    constructor(key, session, onComplete, released) {
      Object.assign(this, { key, session, onComplete, released, told: false });
    }

    mount(target) {
      if (this.destroyed) throw new IntegrationError("This Embedded Checkout has been destroyed.");
      const node = nodeOf(target);
      this.frame = frame(`/c/pay/${this.session}`, "Secure checkout");
      this.frame.style.height = "60rem";
      this.frame.addEventListener("load", () => this.look());
      node.replaceChildren(this.frame);
    }

    async look() {
      const page = await call("GET", `payment_pages/${this.session}`, this.key, {});
      if (page.status !== "complete" || this.told) return;
      this.told = true;
      if (page.redirect_on_completion === "always") window.location.assign(page.success_url);
      else this.onComplete?.();
    }

    unmount() {
      this.frame?.remove();
      this.frame = null;
    }

    destroy() {
      this.unmount();
      this.destroyed = true;
      this.released();
    }
  }

  class StandIn {
    constructor(key) {
      this.key = key;
      this.embedded = false;
    }

    elements(options = {}) { return new Elements(this.key, options); }

    async retrieve(kind, clientSecret) {
      const shape = INTENTS[kind];
      const found = await call("GET", `${shape.path}/${secretParts(clientSecret, kind)}`, this.key, { client_secret: clientSecret });
      return found.error ? { error: found.error } : { [shape.result]: found };
    }

    retrievePaymentIntent(clientSecret) { return this.retrieve("payment", clientSecret); }
    retrieveSetupIntent(clientSecret) { return this.retrieve("setup", clientSecret); }
    confirmPayment(options) { return this.confirm("payment", options); }
    confirmSetup(options) { return this.confirm("setup", options); }

    async createPaymentMethod({ elements, params = {} }) {
      const made = await elements.payment.ask("method", { billing: params.billing_details });
      return made.error ? made : { paymentMethod: made.method };
    }

    async confirm(kind, { elements, clientSecret, confirmParams = {}, redirect = "always" }) {
      const shape = INTENTS[kind];
      const secret = clientSecret || elements?.options.clientSecret;
      const id = secretParts(secret, kind);
      const { return_url: returnUrl, payment_method_data: data, ...more } = confirmParams;
      if (redirect !== "if_required" && !returnUrl) {
        throw new IntegrationError("confirmParams.return_url must be a URL unless redirect is if_required.");
      }
      const params = { ...more, return_url: returnUrl, client_secret: secret, use_stripe_sdk: true };
      if (elements) {
        if (!elements.payment) throw new IntegrationError("Please make sure the payment Element is mounted before confirming.");
        const made = await elements.payment.ask("method", { billing: data?.billing_details });
        if (made.error) return made;
        params.payment_method = made.method.id;
      }
      const answer = await call("POST", `${shape.path}/${id}/confirm`, this.key, params);
      return this.finish(kind, answer, secret, redirect === "if_required" ? null : returnUrl);
    }

    async handleNextAction({ clientSecret }) {
      const kind = clientSecret?.startsWith("seti_") ? "setup" : "payment";
      const found = await this.retrieve(kind, clientSecret);
      return found.error ? found : this.finish(kind, found[INTENTS[kind].result], clientSecret, null);
    }

    /** Ask what the bank asks, then tell how it ended, or go where the page wants its customer to go. */
    async finish(kind, answer, secret, returnUrl) {
      if (answer.error) return { error: answer.error };
      const shape = INTENTS[kind];
      let intent = answer;
      if (intent.status === "requires_action") {
        const action = intent.next_action;
        const page = action.type === "use_stripe_sdk" ? action.use_stripe_sdk.stripe_js : action.redirect_to_url.url;
        let found = null;
        await challenge(page, async () => {
          found = await this.retrieve(kind, secret);
          return !found.error && found[shape.result].status === "requires_action";
        });
        if (found.error) return found;
        intent = found[shape.result];
      }
      if (intent.status === "requires_payment_method") {
        return { error: { ...intent[shape.last], [shape.param]: intent } };
      }
      if (returnUrl) {
        const target = new URL(returnUrl, window.location.href);
        target.searchParams.set(shape.param, intent.id);
        target.searchParams.set(`${shape.param}_client_secret`, secret);
        target.searchParams.set("redirect_status", intent.status === "processing" ? "pending" : "succeeded");
        window.location.assign(target);
        return new Promise(() => {}); // as with the real one: the page is being left
      }
      return { [shape.result]: intent };
    }

    async createEmbeddedCheckoutPage({ clientSecret, fetchClientSecret, onComplete } = {}) {
      if (this.embedded) throw new IntegrationError("You cannot have multiple Embedded Checkout objects.");
      this.embedded = true;
      try {
        const secret = clientSecret || (await fetchClientSecret());
        if (typeof secret !== "string" || !/^cs_test_\w+_secret_/.test(secret)) throw new IntegrationError("Invalid clientSecret: it should be of the form cs_..._secret_...");
        const session = secret.split("_secret_")[0];
        const page = await call("GET", `payment_pages/${session}`, this.key, {});
        if (page.error) throw new IntegrationError(page.error.message);
        return new EmbeddedCheckout(this.key, session, onComplete, () => { this.embedded = false; });
      } catch (error) {
        this.embedded = false;
        throw error;
      }
    }

    initEmbeddedCheckout(options) {
      if (RENAMED) throw new IntegrationError("stripe.initEmbeddedCheckout() is now stripe.createEmbeddedCheckoutPage().");
      return this.createEmbeddedCheckoutPage(options);
    }
  }

  window.Stripe = (key) => {
    if (typeof key !== "string" || key === "") throw new IntegrationError("Missing value for Stripe(): apiKey should be a string.");
    if (/^[sr]k_/.test(key)) throw new IntegrationError("You should not use your secret key with Stripe.js.");
    if (!key.startsWith("pk_test_")) throw new IntegrationError("The sandbox takes publishable test keys only: pk_test_...");
    return new StandIn(key);
  };
  window.Stripe.version = "sandbox";
})();
