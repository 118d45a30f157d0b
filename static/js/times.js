/* Times are served in UTC; here they become the reader's own. */

const FORMAT = new Intl.DateTimeFormat(undefined, { dateStyle: "long", timeStyle: "short" });
const LONG_DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "long" });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

/** A <time> element for an ISO time of the API. */
export function timeElement(iso) {
  const element = document.createElement("time");
  element.dateTime = iso;
  element.textContent = DAY.format(new Date(iso));
  element.title = FORMAT.format(new Date(iso));
  return element;
}

for (const element of document.querySelectorAll("main time[datetime]")) {
  const time = new Date(element.dateTime);
  const isDay = "day" in element.dataset;
  element.textContent = (isDay ? LONG_DAY : FORMAT).format(time);
  if (isDay) element.title = FORMAT.format(time);
}
