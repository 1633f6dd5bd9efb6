/* Decisions and undoing. The focus goes on at once and the request runs behind; several may be under way, one for each
   card. What is refused, or does not reach the server, marks its card and can be tried again. */

import { cards, follow, insert, isBusy, nextPending, swap } from "./cards.js";
import { measure } from "./clock.js";
import { refused, say, settle, warn } from "./say.js";
import { handOver, handedOver } from "./store.js";

const TIMEOUT = 60_000;
/* What a browser lets go on after its page is gone, in bytes, with some room. */
const KEPT_ALIVE = 60_000;
const MOST_HANDED_OVER = 25;

const underWay = new Map();
/* What was decided here, last one last, by the card that tells of it: many decided at once get a new one. Before them
   what was decided on the page that led here, with what is sent to undo it. */
const decided = handedOver ?? [];
let bytes = 0;

export const isUnderWay = () => underWay.size > 0;

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form[data-decide], form[data-undo]")) return;
  event.preventDefault();
  send(form, event.submitter);
});

/* The second half of a double click may meet the next card's button, which has come up meanwhile. */
document.addEventListener(
  "click",
  (event) => {
    if (event.detail > 1 && event.target.closest(":is([data-decide], [data-undo]) button")) event.preventDefault();
  },
  true,
);

function send(form, button) {
  const card = form.closest(".card");
  if (isBusy(card)) return;
  const change = card.querySelector(".change a.later");
  if (button?.value === "apply" && change && !form.matches(".edit-form")) return showFirst(change);
  const data = new FormData(form);
  if (button?.name) data.append(button.name, button.value);
  if (currentToken()) data.set("csrfmiddlewaretoken", currentToken());
  const decision = form.hasAttribute("data-decide") ? { id: card.id } : null;
  if (decision) {
    measure(data, card);
    decided.push(decision);
  }
  card.setAttribute("aria-busy", "true");
  card.querySelector(":scope > [data-not-sent]")?.remove();
  settle(card);
  (decision ? nextPending(card) : card).focus();
  const answered = post(form.action, new URLSearchParams(data).toString())
    .then((answer) => receive(card, answer, decision))
    .finally(() => underWay.delete(card.id));
  underWay.set(card.id, answered);
}

/* A card whose change is still to come can be accepted here all the same, since `send` shows it first. */
follow((card) => card.querySelectorAll(".buttons form[hidden]").forEach((form) => (form.hidden = false)));

/* Nothing is accepted unseen: a change that has not come yet is asked for, once more if it did not come. */
function showFirst(change) {
  change.click();
  say("What it changes is only coming now. Look at it, then accept it.");
}

/* A login in another tab gives the browser another token than the forms here have. */
const currentToken = () => document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1];

async function post(address, body) {
  const keepalive = bytes + body.length < KEPT_ALIVE;
  const counted = keepalive ? body.length : 0;
  bytes += counted;
  try {
    const response = await fetch(address, {
      method: "POST",
      body,
      keepalive,
      headers: { "Content-Type": "application/x-www-form-urlencoded", "HX-Request": "true" },
      signal: AbortSignal.timeout(TIMEOUT),
    });
    return { response, page: new DOMParser().parseFromString(await response.text(), "text/html") };
  } catch {
    return null;
  } finally {
    bytes -= counted;
  }
}

function receive(card, answer, decision) {
  card.removeAttribute("aria-busy");
  if (!answer) return mark(card, "That did not reach the server. Nothing is lost: try again.");
  const { response, page } = answer;
  const fresh = page.getElementById(card.id) ?? (card.matches(".group") ? page.querySelector(".card") : null);
  const refusal = page.querySelector("[data-refusal], .edit-form [role=alert]")?.textContent;
  if (fresh) {
    const words = page.querySelector("[data-announcement]")?.textContent ?? notDone(fresh, refusal ?? "");
    if (decision) decision.id = fresh.id; // “undo” may wait for it already
    swap(card, fresh);
    if (!fresh.querySelector("form[data-undo]")) forget(fresh);
    say(words);
    if (refusal) warn(fresh, words);
  } else if (response.status === 404 || (response.status === 403 && refusal)) {
    mark(card, refusal ?? "This is not here for you any more.");
    loseRight(card);
  } else if (page.querySelector("[data-lost=session]")) {
    mark(card, "You are logged out. Log in in another tab, then try again.");
  } else {
    mark(card, refusal ?? "The server did not take it. Try again, or reload the page.");
  }
}

/* What is not done, or undone already, is not what “undo” means next. */
function forget(card) {
  const place = decided.findLastIndex((each) => each.id === card.id);
  if (place >= 0) decided.splice(place, 1);
}

/* The card stays as it is, with what was typed in it; it says why. */
function mark(card, words) {
  forget(card);
  const line = document.createElement("p");
  line.className = "problem";
  line.dataset.notSent = "";
  line.textContent = words;
  card.querySelector("header, h2").after(line);
  say(notDone(card, words));
  warn(card, notDone(card, words));
}

const notDone = (card, why) => `Not done: ${inOneLine(card.querySelector("h2"))}. ${why}`.trim();

/* Who may not decide one may decide none of its workspace. What was typed can still be copied. */
function loseRight(card) {
  for (const each of cards().filter((other) => other.dataset.workspace === card.dataset.workspace)) {
    each.querySelectorAll(".buttons, .edit-buttons, form.undo, .select").forEach((part) => part.remove());
    each.removeAttribute("data-pending");
  }
}

/* --- Undo ---------------------------------------------------------------------------------------- */

/* Of `card` if it can be undone, else of the last decision made here; one under way is waited for. */
export async function undo(card) {
  const last = card?.querySelector("form[data-undo]") ? { id: card.id } : decided.pop();
  const button = document.querySelector("form:not([data-undo]) [data-undo-all]"); // of a page that tells of many at once
  if (!last && button) return button.click();
  if (!last) return say("Nothing was decided on this page.");
  if (last.undo) return undoElsewhere(last, card);
  await underWay.get(last.id);
  const form = document.getElementById(last.id)?.querySelector("form[data-undo]");
  if (form) form.requestSubmit();
  else say("There is nothing to undo.");
}

/* Of the page before: its card, which waits again, comes in before the one that has the focus. */
async function undoElsewhere(last, card) {
  const data = new URLSearchParams(last.undo.body);
  if (currentToken()) data.set("csrfmiddlewaretoken", currentToken());
  const answer = await post(last.undo.address, data.toString());
  const fresh = answer?.page.getElementById(last.id) ?? answer?.page.querySelector(".card");
  if (!fresh) return say(`Not undone: ${last.undo.what}. Find it among what was decided.`);
  say(answer.page.querySelector("[data-announcement]")?.textContent ?? "");
  if (!insert(fresh, card)) location.reload(); // it is all there is
}

const inOneLine = (element) => element.textContent.replace(/\s+/g, " ").trim();

/* The last decisions, so that the next page can undo them. */
function forNext() {
  const here = decided.slice(-MOST_HANDED_OVER).map(({ id, undo }) => {
    const card = document.getElementById(id);
    const form = card?.querySelector("form[data-undo]");
    if (!form) return { id, undo };
    const body = new URLSearchParams(new FormData(form)).toString();
    return { id, undo: { address: form.action, body, what: inOneLine(card.querySelector("h2")) } };
  });
  return here.filter((each) => each.undo);
}

/* --- Leaving the page ---------------------------------------------------------------------------- */

addEventListener("beforeunload", (event) => {
  if (isUnderWay() || document.querySelector(".edit-form[data-typed]:not([hidden])")) event.preventDefault();
});

document.addEventListener("click", async (event) => {
  const link = event.target.closest("#next-page");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (!isUnderWay()) return handOver(forNext());
  event.preventDefault();
  say("Waiting for the last answers.");
  await Promise.all(underWay.values());
  if (refused()) return refused().focus();
  handOver(forNext());
  location.assign(link.href);
});
