/* The account page: gifts, purchases, sessions, Stripe's billing page, and leaving. */

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

const NONE = "–";

const leaving = document.getElementById("delete-form");
const portal = document.getElementById("portal-form");

leaving.addEventListener("submit", (event) => {
  event.preventDefault();
  once(leaving, async () => {
    clearRefusal(leaving);
    await call("DELETE", "/api/auth/me", { body: { password: leaving.elements.password.value } });
    location.assign("/");
  });
});
portal?.addEventListener("submit", (event) => {
  event.preventDefault();
  once(portal, async () => {
    clearRefusal(portal);
    const { url } = await call("POST", "/api/finances/api/subscription/portal/", { body: {} });
    if (!/^https?:\/\//.test(url)) throw new Refused("The billing page has no address. Please try again.");
    location.assign(url);
  });
});
if (portal) document.getElementById("portal").disabled = false; // from here on, pressing it does what it says
await Promise.all([
  table("gifts", "/api/donations/mine", giftRow),
  table("purchases", "/api/finances/api/purchases/", purchaseRow),
  table("sessions", "/api/finances/api/consumption/", sessionRow),
]);

/** Fill the table of that name, page by page, from a list of the API. Does nothing where the page has no such table. */
async function table(name, path, row) {
  const part = (which) => document.getElementById(which ? `${name}-${which}` : name);
  if (!part()) return;
  let next = path;
  part("more").addEventListener("click", load);
  await load();

  async function load() {
    part("error").hidden = true;
    part("more").disabled = true;
    try {
      const page = await call("GET", next);
      part().append(...page.results.map(row));
      part("frame").hidden = !part().children.length;
      part("empty").hidden = part().children.length > 0;
      next = page.next && ownPath(page.next);
      part("more").hidden = !next;
    } catch (refusal) {
      if (!(refusal instanceof Refused)) throw refusal;
      part("error").textContent = refusal.sentence;
      part("error").hidden = false;
      part("more").hidden = false;
    }
    part("more").disabled = false;
  }
}

function giftRow(gift) {
  const line = document.createElement("tr");
  line.dataset.donationId = gift.id;
  const campaign = Object.assign(document.createElement("a"), {
    href: `/campaigns/${encodeURIComponent(gift.campaign_slug)}`,
    textContent: gift.campaign_title,
  });
  const state = stateBadge(gift.state);
  if (gift.state === "partially_refunded") state.textContent += `: ${money(gift.refunded_amount, gift.currency)}`;
  const amount = money(gift.amount, gift.currency);
  const receipt = receiptLink(gift.receipt_url, `Receipt of ${amount} to ${gift.campaign_title}`);
  line.append(
    day(gift.paid_at || gift.created_at),
    cell(campaign, "what"),
    cell(amount, "number amount"),
    cell(state, "state"),
    cell(receipt, "receipt"),
  );
  return line;
}

function purchaseRow(purchase) {
  const line = document.createElement("tr");
  line.dataset.purchaseId = purchase.id;
  const amount = money(purchase.amount, purchase.currency);
  line.append(
    day(purchase.paid_at || purchase.created_at),
    cell(purchase.name, "what"),
    cell(Number(purchase.hours) ? shortHours(purchase.hours) : NONE, "number hours"),
    cell(amount, "number amount"),
    cell(stateBadge(purchase.state, { paid: "Paid" }), "state"),
    cell(receiptLink(purchase.receipt_url, `Receipt of ${amount} for ${purchase.name}`), "receipt"),
  );
  return line;
}

function sessionRow(session) {
  const line = document.createElement("tr");
  line.dataset.sessionReference = session.session_reference;
  const reference = document.createElement("span");
  reference.textContent = session.session_reference;
  if (session.reversed_at) reference.append(" ", badge("Taken back", false));
  const used = session.reversed_at ? "0" : shortHours(session.hours);
  line.append(day(session.created_at), cell(reference, "what"), cell(used, "number hours"));
  return line;
}

/** "5.00" -> "5" and "1.50" -> "1.5", as the page writes hours. */
function shortHours(hours) {
  return hours.replace(/\.?0+$/, "");
}

function stateBadge(state, otherwise = {}) {
  return badge(otherwise[state] || STATES[state] || state, state === "paid");
}

function badge(text, isGood) {
  return Object.assign(document.createElement("span"), { className: `badge${isGood ? " good" : ""}`, textContent: text });
}

function receiptLink(address, label) {
  if (!/^https?:\/\//.test(address || "")) return NONE;
  const link = Object.assign(document.createElement("a"), { href: address, textContent: "Receipt", rel: "noopener", target: "_blank" });
  link.setAttribute("aria-label", label);
  return link;
}

function day(iso) {
  return cell(timeElement(iso), "when");
}

/** A cell of the table. `name` places it where a phone shows the row as two or three lines (site.css). */
function cell(content, name) {
  const made = document.createElement("td");
  made.className = content === NONE ? `${name} none` : name;
  made.append(content);
  return made;
}
