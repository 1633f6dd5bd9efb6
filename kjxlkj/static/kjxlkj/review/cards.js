/* The cards of the page: which comes next, how many wait, and one put in the place of another. */

import { say } from "./say.js";

export const cards = () => [...document.querySelectorAll(".card")];
export const cardOf = (element) => element?.closest(".card") ?? null;
export const isPending = (card) => card.hasAttribute("data-pending");
export const isBusy = (card) => card.getAttribute("aria-busy") === "true";

const waits = (card) => isPending(card) && !isBusy(card);

export const firstPending = () => cards().find(waits);

export function nextPending(card) {
  const all = cards();
  const place = all.indexOf(card);
  return [...all.slice(place + 1), ...all.slice(0, place)].find(waits) ?? document.getElementById("next-page") ?? card;
}

export function step(card, by) {
  const all = cards();
  return all[all.indexOf(card) + by] ?? (by > 0 ? document.getElementById("next-page") : null) ?? card;
}

/* How many wait more or less with `fresh` in the place of `card`; one for many says how many it decided. */
function difference(card, fresh) {
  if ("decided" in fresh.dataset) return Number(card.dataset.decided ?? 0) - Number(fresh.dataset.decided);
  return isPending(fresh) - isPending(card);
}

function count(change) {
  for (const each of document.querySelectorAll("[data-pending-count]")) {
    const left = Math.max(0, Number(each.dataset.pendingCount) + change);
    each.dataset.pendingCount = each.textContent = String(left);
  }
}

/* Everything that looks after cards is told of new ones. */
const followers = [];
const tell = (card) => followers.forEach((follower) => follower(card));

export function follow(follower) {
  followers.push(follower);
  cards().forEach((card) => follower(card));
}

document.addEventListener("htmx:load", (event) => {
  const within = event.detail.elt;
  const found = within.querySelectorAll(".card");
  for (const card of found.length ? found : [cardOf(within)]) if (card) tell(card);
});

/* Put `fresh`, from an answer, in the place of `card`. The focus stays where it is, were it on the card itself. */
export function swap(card, fresh) {
  const hadFocus = card.contains(document.activeElement);
  const typed = card.querySelector(".edit-form");
  if (typed && isPending(fresh) && !fresh.querySelector(".edit-form")) {
    typed.hidden = true;
    fresh.append(typed);
  }
  count(difference(card, fresh));
  card.replaceWith(fresh);
  htmx.process(fresh);
  tell(fresh);
  if (hadFocus) (fresh.querySelector(".edit-form:not([hidden]) :is(input:not([type=hidden]), textarea)") ?? fresh).focus();
}

/* Put a card that waits again, and is not of this page, before `card` or all others. False where there are none. */
export function insert(fresh, card) {
  const place = card ?? cards()[0];
  if (!place) return false;
  count(Number(isPending(fresh)));
  place.before(fresh);
  htmx.process(fresh);
  tell(fresh);
  fresh.focus();
  return true;
}

/* Fetch an address as the inner part of a page. Raises Error with words for the person who asked. */
export async function fetchPart(address) {
  let response;
  try {
    response = await fetch(address, { headers: { "HX-Request": "true" } });
  } catch {
    throw new Error("That did not reach the server. Try again.");
  }
  const part = new DOMParser().parseFromString(await response.text(), "text/html");
  if (response.ok && !response.redirected) return part;
  throw new Error(part.querySelector("[data-refusal], #lost")?.textContent ?? "The server does not show it. Reload the page.");
}

/* The same, told instead of raised; null where nothing came. */
export async function fetchOrTell(address) {
  try {
    return await fetchPart(address);
  } catch (error) {
    say(error.message);
    return null;
  }
}
