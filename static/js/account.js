/* The account page: gifts, profile, and leaving. */

import "./account_forms.js";
import { call, clearRefusal, money, once, ownPath, Refused } from "./api.js";
import { timeElement } from "./times.js";

const STATES = {
  pending: "Not paid",
  paid: "Arrived",
  refunded: "Given back",
  partially_refunded: "Partly given back",
  disputed: "Disputed",
  abandoned: "Not completed",
};

const more = document.getElementById("gifts-more");
const leaving = document.getElementById("delete-form");
let next = "/api/donations/mine";

more.addEventListener("click", loadGifts);
leaving.addEventListener("submit", (event) => {
  event.preventDefault();
  once(leaving, async () => {
    clearRefusal(leaving);
    await call("DELETE", "/api/auth/me", { body: { password: leaving.elements.password.value } });
    location.assign("/");
  });
});
await loadGifts();

async function loadGifts() {
  const error = document.getElementById("gifts-error");
  error.hidden = true;
  more.disabled = true;
  try {
    const page = await call("GET", next);
    document.getElementById("gifts").append(...page.results.map(row));
    document.getElementById("gifts-frame").hidden = !document.getElementById("gifts").children.length;
    document.getElementById("gifts-empty").hidden = document.getElementById("gifts").children.length > 0;
    next = page.next && ownPath(page.next);
    more.hidden = !next;
  } catch (refusal) {
    if (!(refusal instanceof Refused)) throw refusal;
    error.textContent = refusal.sentence;
    error.hidden = false;
    more.hidden = false;
  }
  more.disabled = false;
}

function row(gift) {
  const line = document.createElement("tr");
  line.dataset.donationId = gift.id;
  const campaign = Object.assign(document.createElement("a"), {
    href: `/campaigns/${encodeURIComponent(gift.campaign_slug)}`,
    textContent: gift.campaign_title,
  });
  const state = Object.assign(document.createElement("span"), {
    className: `badge${gift.state === "paid" ? " good" : ""}`,
    textContent: STATES[gift.state] || gift.state,
  });
  const amount = cell(money(gift.amount, gift.currency));
  amount.className = "number";
  line.append(cell(timeElement(gift.paid_at || gift.created_at)), cell(campaign), amount, cell(state), cell(receipt(gift)));
  if (gift.state === "partially_refunded") state.textContent += `: ${money(gift.refunded_amount, gift.currency)}`;
  return line;
}

function receipt(gift) {
  if (!/^https?:\/\//.test(gift.receipt_url || "")) return "–";
  const link = Object.assign(document.createElement("a"), { href: gift.receipt_url, textContent: "Receipt", rel: "noopener", target: "_blank" });
  link.setAttribute("aria-label", `Receipt of ${money(gift.amount, gift.currency)} to ${gift.campaign_title}`);
  return link;
}

function cell(content) {
  const made = document.createElement("td");
  made.append(content);
  return made;
}
