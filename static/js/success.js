/* After the payment page: what really became of it, asked of the API until it is final or patience ends. */

import { call, money, Refused } from "./api.js";

const ASK_MS = 2_000;
const MOST_TRIES = 30; // a minute, and within the rate limit of session look-ups

const TOLD = {
  completed: ["Thank you!", "has arrived.", "Completed"],
  processing: ["Your payment is on its way", "is being processed by your bank.", "Processing"],
  pending: ["Waiting for your payment", "is not paid yet.", "Pending"],
  failed: ["The payment did not work", "was not charged. You can try again with another card.", "Failed"],
  expired: ["The payment page has expired", "was not charged. You can start again.", "Expired"],
  refunded: ["Your gift was given back", "was refunded in full.", "Refunded"],
};
const GOES_ON = new Set(["processing", "pending"]);

const result = document.getElementById("result");
const again = document.getElementById("result-again");
const sessionId = new URLSearchParams(location.search).get("session_id") || "";
let campaign = null;

again.addEventListener("click", follow);
await follow();

async function follow() {
  again.hidden = true;
  if (!sessionId) {
    tell("unknown", "Which payment?", "This address names no payment. If you paid, your receipt comes by e-mail.");
    return;
  }
  for (let tries = 1; tries <= MOST_TRIES; tries += 1) {
    try {
      const { data } = await call("GET", `/api/payments/stripe/session/${encodeURIComponent(sessionId)}`);
      await show(data);
      if (!GOES_ON.has(data.payment_status)) return;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.status === 400 || error.status === 404) {
        tell("unknown", "We do not know this payment", "The address may be incomplete, or older than a day. If you paid, your receipt comes by e-mail.");
        return;
      }
      if (tries === MOST_TRIES && result.dataset.state === "asking") tell("unknown", "No answer yet", error.sentence);
      await pause(error.retryAfter * 1000);
    }
    await pause(ASK_MS);
  }
  giveUp();
}

async function show(data) {
  const [title, sentence, status] = TOLD[data.payment_status];
  campaign ??= await campaignOf(data.campaign_id);
  const what = campaign ? `Your gift to “${campaign.title}” ${sentence}` : `Your gift ${sentence}`;
  tell(data.payment_status, title, what);
  put("result-amount", money(data.amount, data.currency));
  put("result-status", status);
  put("result-reference", data.donation_id);
  put("result-email", data.customer_email || "");
  document.getElementById("result-amount").hidden = false;
  document.getElementById("result-facts").hidden = false;
  document.getElementById("result-email-row").hidden = !data.customer_email;
  link("result-receipt", data.receipt_url, "Open the card receipt");
  const retry = data.payment_status === "failed" || data.payment_status === "expired";
  if (retry) link("result-campaign", donatePath(), "Try again");
  else if (campaign) link("result-campaign", `/campaigns/${encodeURIComponent(campaign.slug)}`, "Back to the campaign");
}

async function campaignOf(id) {
  try {
    return await call("GET", `/api/campaigns/${encodeURIComponent(id)}`);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return null; // the amount matters more than the title
  }
}

function donatePath() {
  return campaign && campaign.slug !== "general-fund" ? `/donate?campaign=${encodeURIComponent(campaign.slug)}` : "/donate";
}

function giveUp() {
  if (result.dataset.state === "processing") {
    put("result-sentence", "Some ways to pay take days. You need not wait here: your receipt comes by e-mail when the money has arrived.");
  } else if (result.dataset.state === "pending") {
    put("result-sentence", "Nothing was charged so far. If you did pay, ask again in a few minutes, or wait for the receipt by e-mail.");
  }
  again.hidden = false;
}

function tell(state, title, sentence) {
  result.dataset.state = state;
  put("result-title", title);
  put("result-sentence", sentence);
}

function put(id, text) {
  const element = document.getElementById(id);
  if (element.textContent !== text) element.textContent = text;
}

function link(id, href, label) {
  const element = document.getElementById(id);
  element.hidden = !href || !/^(https:\/\/|http:\/\/|\/)/.test(href);
  if (!element.hidden) Object.assign(element, { href, textContent: label });
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
