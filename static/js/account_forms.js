/* Forms that send their fields to the API and then say what it answered: data-post or data-patch names the route. */

import { call, clearRefusal, once } from "./api.js";

const token = new URLSearchParams(location.search).get("token");

for (const form of document.querySelectorAll("form[data-post], form[data-patch]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form);
  });
}

function send(form) {
  return once(form, async () => {
    clearRefusal(form);
    const done = document.getElementById(`${form.id}-done`);
    done.hidden = true;
    const method = form.dataset.post ? "POST" : "PATCH";
    const answer = await call(method, form.dataset.post || form.dataset.patch, { body: fields(form) });
    (done.querySelector("[data-message]") || done).textContent = form.dataset.done || answer?.message || "Done.";
    done.hidden = false;
    if (method === "POST") {
      form.hidden = true;
      done.focus();
    }
  });
}

function fields(form) {
  const body = {};
  for (const input of form.querySelectorAll("input[name], select[name]")) {
    body[input.name] = input.type === "checkbox" ? input.checked : input.value;
  }
  if (form.hasAttribute("data-token")) body.token = token;
  return body;
}
