/* A campaign's page: totals that stay fresh, and the wall of gifts. */

import { call, money, ownPath, Refused } from "./api.js";
import { timeElement } from "./times.js";

const POLL_MS = 5_000;
const SLOWEST_POLL_MS = 120_000;
const PAGE_SIZE = 12;

const id = document.getElementById("campaign").dataset.campaignId;
const wall = document.getElementById("wall");
const more = document.getElementById("wall-more");
const wallError = document.getElementById("wall-error");
const shown = new Set();
let next = null;
let newestStamp = null;
let wait = POLL_MS;
let timer = 0;

more.addEventListener("click", async () => {
  more.disabled = true;
  const before = wall.lastElementChild;
  await loadOlder(next);
  more.disabled = false;
  before?.nextElementSibling?.focus();
});
document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  if (!document.hidden) poll();
});
await loadOlder(firstPage());
await poll();

function firstPage() {
  return `/api/donations?campaign_id=${encodeURIComponent(id)}&page_size=${PAGE_SIZE}`;
}

async function loadOlder(path) {
  wallError.hidden = true;
  try {
    const page = await call("GET", path);
    for (const gift of page.results) if (isNew(gift)) wall.append(item(gift));
    next = page.next && ownPath(page.next);
    more.hidden = !next;
    document.getElementById("wall-empty").hidden = shown.size > 0;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    wallError.textContent = error.sentence;
    wallError.hidden = false;
    more.hidden = !next;
  }
}

/** Gifts that came since, at the top. More than a page of them at once: the wall starts anew. */
async function loadNewer() {
  const page = await call("GET", firstPage());
  const fresh = page.results.filter((gift) => !shown.has(gift.id));
  if (fresh.length === page.results.length && page.next) {
    wall.replaceChildren();
    shown.clear();
    next = ownPath(page.next);
    more.hidden = false;
  }
  const items = fresh.filter(isNew).map(item);
  wall.prepend(...items);
  document.getElementById("wall-empty").hidden = shown.size > 0;
}

async function poll() {
  try {
    const campaign = await call("GET", `/api/campaigns/${encodeURIComponent(id)}`);
    const stamp = `${campaign.current_amount} ${campaign.donation_count} ${campaign.last_donation_at}`;
    if (newestStamp !== null && stamp !== newestStamp) {
      announce(campaign);
      await loadNewer();
    }
    showTotals(campaign);
    newestStamp = stamp;
    wait = POLL_MS;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    wait = Math.min(Math.max(wait * 2, error.retryAfter * 1000), SLOWEST_POLL_MS);
  }
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(poll, wait);
}

function showTotals(campaign) {
  put("raised", money(campaign.current_amount, campaign.currency));
  put("donors", String(campaign.donor_count));
  put("donations", String(campaign.donation_count));
  if (campaign.goal_amount) put("goal", money(campaign.goal_amount, campaign.currency));
  if (campaign.progress_percent !== null) showProgress(Number(campaign.progress_percent));
}

/** The same arithmetic as website/showing.py: past the goal, the mark moves inside the full bar. */
function showProgress(percent) {
  const bar = document.querySelector("#campaign .thermometer");
  if (!bar) return;
  put("percent", String(percent));
  bar.setAttribute("aria-label", `${percent} % of the goal`);
  bar.querySelector(".mercury").setAttribute("width", `${Math.min(percent, 100)}%`);
  bar.querySelector(".goal-mark").setAttribute("x", `${percent > 100 ? (10_000 / percent).toFixed(1) : 100}%`);
}

function put(elementId, text) {
  const element = document.getElementById(elementId);
  if (element && element.textContent !== text) element.textContent = text;
}

function announce(campaign) {
  put("totals-status", `${money(campaign.current_amount, campaign.currency)} raised by ${campaign.donor_count} ${campaign.donor_count === 1 ? "donor" : "donors"}.`);
}

function isNew(gift) {
  if (shown.has(gift.id)) return false;
  shown.add(gift.id);
  return true;
}

function item(gift) {
  const entry = document.createElement("li");
  entry.tabIndex = -1;
  entry.dataset.donationId = gift.id;
  const head = document.createElement("p");
  head.className = "gift-head";
  head.append(span("gift-name", gift.display_name), span("gift-amount", money(gift.amount, gift.currency)));
  entry.append(head);
  if (gift.dedication) {
    const kind = gift.dedication.kind === "in_memory" ? "In memory of" : "In honour of";
    entry.append(paragraph("gift-dedication", `${kind} ${gift.dedication.name}`));
  }
  if (gift.message) entry.append(paragraph("gift-message", gift.message));
  const when = paragraph("gift-time", "");
  when.append(timeElement(gift.created_at));
  entry.append(when);
  return entry;
}

function span(name, text) {
  return Object.assign(document.createElement("span"), { className: name, textContent: text });
}

function paragraph(name, text) {
  return Object.assign(document.createElement("p"), { className: name, textContent: text });
}
