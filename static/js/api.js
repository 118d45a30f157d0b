/* Calling the public API as any other front end does, and showing what it answers. */

const TIMEOUT_MS = 30_000;

/** A refusal or failure: `sentence` is for people, `fields` maps input names to sentences. */
export class Refused extends Error {
  constructor(sentence, { status = 0, code = "", fields = {}, retryAfter = 0 } = {}) {
    super(sentence);
    Object.assign(this, { sentence, status, code, fields, retryAfter });
  }
}

/** The parsed JSON of a 2xx answer (null without a body); throws Refused for everything else. */
export async function call(method, path, { body, idempotencyKey } = {}) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (idempotencyKey) headers["Idempotency-Key"] = idempotencyKey;
  const token = cookie("csrftoken");
  if (token && method !== "GET") headers["X-CSRFToken"] = token;
  let response;
  let text;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    text = await response.text();
  } catch {
    throw new Refused("We could not reach the server. Check your connection and try again.");
  }
  const answer = parsed(text);
  if (response.ok) return answer;
  throw new Refused(answer?.error || "Something went wrong on our side. Please try again.", {
    status: response.status,
    code: answer?.code,
    fields: answer?.fields || {},
    retryAfter: Number(response.headers.get("Retry-After")) || 0,
  });
}

/** "25.00", "USD" -> "$25.00", with exactly the decimals that the server sent. */
export function money(amount, currency) {
  const decimals = (amount.split(".")[1] || "").length;
  const format = { style: "currency", currency, minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  return new Intl.NumberFormat("en-US", format).format(amount);
}

/** Only path and query of an address that the API gave, so that a proxy in front cannot make it point elsewhere. */
export function ownPath(address) {
  const url = new URL(address, location.origin);
  return url.pathname + url.search;
}

/** Show a refusal in `form`: sentences beside the inputs they are about, the rest in its alert. */
export function showRefusal(form, refusal) {
  clearRefusal(form);
  const elsewhere = [];
  let first = null;
  for (const [field, sentences] of Object.entries(refusal.fields)) {
    const input = form.querySelector(`[data-field="${CSS.escape(field)}"]`);
    if (!input) {
      elsewhere.push(...sentences);
      continue;
    }
    mark(input, sentences.join(" "));
    first ??= input;
  }
  const alert = form.querySelector(".form-error");
  const unplaced = first ? elsewhere.join(" ") : refusal.sentence;
  if (alert && unplaced) {
    alert.textContent = unplaced;
    alert.hidden = false;
  }
  if (first) {
    first.closest("details")?.setAttribute("open", "");
    first.focus();
  }
}

export function clearRefusal(form) {
  for (const note of form.querySelectorAll(".field-error")) note.remove();
  for (const input of form.querySelectorAll("[aria-invalid]")) {
    input.removeAttribute("aria-invalid");
    describe(input, input.dataset.describedBefore || "");
  }
  const alert = form.querySelector(".form-error");
  if (alert) alert.hidden = true;
}

/** Run `work` once at a time for `form`: its buttons wait, and a second click does nothing. */
export async function once(form, work) {
  if (form.getAttribute("aria-busy") === "true") return;
  busy(form, true);
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    busy(form, false);
    showRefusal(form, error);
    return;
  }
  busy(form, false);
}

export function busy(form, is) {
  form.setAttribute("aria-busy", String(is));
  for (const button of form.querySelectorAll("button")) button.disabled = is;
}

/** A 128-bit random key; also where the page is not served over https. */
export function freshKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function mark(input, sentence) {
  const note = document.createElement("small");
  note.className = "field-error";
  note.id = `error-${input.id}`;
  note.textContent = sentence;
  input.after(note);
  input.setAttribute("aria-invalid", "true");
  input.dataset.describedBefore ??= input.getAttribute("aria-describedby") || "";
  describe(input, `${note.id} ${input.dataset.describedBefore}`.trim());
}

function describe(input, ids) {
  if (ids) input.setAttribute("aria-describedby", ids);
  else input.removeAttribute("aria-describedby");
}

function cookie(name) {
  const found = document.cookie.split("; ").find((part) => part.startsWith(`${name}=`));
  return found ? decodeURIComponent(found.slice(name.length + 1)) : "";
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
