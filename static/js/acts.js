/* Forms that do something by the API, and then show the page as it is afterwards.

   data-act     "PATCH /api/…": the method and the route
   data-done    what is said once it is done
   data-next    where it leads, with {id} of what was made; the same page where left out
   data-sure    a question that is asked before; data-yes is what agreeing to it is called
   A field of the body is named as the API names it, "outer.inner" within another; data-null: left empty, it is null.
   A button may have a data-done of its own, and a data-body that goes before the fields. */

import { call, clearRefusal, once } from "./api.js";

const TOLD = "told";

for (const form of document.querySelectorAll("form[data-act]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    once(form, () => act(form, event.submitter));
  });
  for (const button of form.querySelectorAll("button[type=submit]")) button.disabled = false; // pressing it now does what it says
}
sayWhatWasDone();

async function act(form, button) {
  clearRefusal(form);
  const { sure, yes, done, next } = form.dataset;
  if (sure && !(await agreed(sure, yes))) return;
  const [method, path] = form.dataset.act.split(" ");
  const body = method === "DELETE" ? undefined : { ...fields(form), ...JSON.parse(button?.dataset.body || "{}") };
  const made = await call(method, path, { body });
  await showAfterwards(button?.dataset.done || done, next?.replace("{id}", encodeURIComponent(made?.id || "")));
}

/** The page at `address`, or this one anew, which then says `sentence`. Never resolves while the browser is leaving. */
export function showAfterwards(sentence, address) {
  try {
    if (sentence) sessionStorage.setItem(TOLD, sentence);
  } catch {
    // storage may be switched off; then the page shows it without saying it
  }
  if (address) location.assign(address);
  else location.reload();
  return new Promise((resolve) => setTimeout(resolve, 15_000));
}

function sayWhatWasDone() {
  const place = document.getElementById("told");
  try {
    const sentence = place && sessionStorage.getItem(TOLD);
    if (!sentence) return;
    sessionStorage.removeItem(TOLD);
    place.textContent = sentence;
    place.hidden = false;
  } catch {
    // as above
  }
}

function agreed(question, yes) {
  const dialog = document.getElementById("sure");
  document.getElementById("sure-sentence").textContent = question;
  document.getElementById("sure-yes").textContent = yes;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

function fields(form) {
  const body = {};
  for (const input of form.querySelectorAll("input[name], select[name]")) {
    const path = input.name.split(".");
    const last = path.pop();
    const within = path.reduce((outer, name) => (outer[name] ??= {}), body);
    within[last] = valueOf(input);
  }
  return body;
}

function valueOf(input) {
  if (input.type === "checkbox") return input.checked;
  const written = input.value.trim();
  if (!written && "null" in input.dataset) return null;
  return input.inputMode === "decimal" ? decimalPoint(written) : written;
}

/** "12,50" as many people write it; anything else goes to the server as it is, which says what is wrong with it. */
export function decimalPoint(written) {
  return /^\d+,\d{1,2}$/.test(written) ? written.replace(",", ".") : written;
}
