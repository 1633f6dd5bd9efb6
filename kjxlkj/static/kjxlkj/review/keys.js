/* Single keys on the focused card. They can be turned off (WCAG 2.1.4), and never fire where somebody types. */

import { cardOf, firstPending, isBusy, isPending, step } from "./cards.js";
import { undo } from "./decide.js";
import { edit } from "./edit.js";
import { switchDiffs, toggle } from "./parts.js";
import { say } from "./say.js";
import { select } from "./select.js";
import { remember, remembered } from "./store.js";

const help = document.getElementById("keys-help");
const switches = document.querySelectorAll("[data-keys-switch]");

const isOn = () => remembered("keys") !== "off";

function accept(card) {
  const button = card.querySelector(".buttons button.accept");
  if (button) button.form.requestSubmit(button);
  else if (isPending(card)) say("This cannot be accepted as it is: edit it, or reject it.");
}

const isBeingEdited = (card) => card.querySelector(".edit-form:not([hidden])") !== null;

function openReject(card) {
  const reject = card.querySelector("details.reject");
  if (!reject) return;
  reject.open = true;
  reject.querySelector(".presets").focus();
  say("Reject because: 1 to 4, or 0 for words of your own. Escape leaves.");
}

const ON_CARD = {
  a: accept,
  x: openReject,
  e: edit,
  o: (card) => {
    const link = card.querySelector(".facts a[data-part=note]");
    if (link) toggle(link);
    else say("There is no note to show.");
  },
};

const ANYWHERE = {
  j: (card) => move(card, 1),
  k: (card) => move(card, -1),
  u: undo,
  d: switchDiffs,
  "?": () => help.showModal(),
};

function move(card, by) {
  const goal = card ? step(card, by) : firstPending();
  goal?.focus();
}

/* While a card asks why it is rejected, numbers answer and letters begin an answer. */
function answerWhy(event, reject) {
  const presets = reject.querySelectorAll(".presets button");
  const preset = /^[1-9]$/.test(event.key) && presets[Number(event.key) - 1];
  const words = reject.querySelector("input[type=text]");
  if (preset) preset.form.requestSubmit(preset);
  else if (event.key === "0") words.focus();
  else {
    if (event.key.length === 1 && event.key !== " ") words.focus(); // the letter goes there
    return false;
  }
  return true;
}

function press(event, card) {
  const key = event.getModifierState("CapsLock") ? event.key.toLowerCase() : event.key;
  const reject = event.target.closest("details.reject[open]");
  if (reject) return answerWhy(event, reject);
  if (key === " ") {
    const box = event.target === card && card.querySelector("input.select");
    if (box) select(box, event.shiftKey);
    return Boolean(box);
  }
  if (Object.hasOwn(ANYWHERE, key)) ANYWHERE[key](card);
  else if (!Object.hasOwn(ON_CARD, key)) return false;
  else if (!card) move(null, 1); // the first press shows what the next one will be about
  else if (isBeingEdited(card) && key !== "o") edit(card); // what is typed there is not passed over
  else if (!isBusy(card)) ON_CARD[key](card);
  return true;
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");
  const meansMore = event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.isComposing;
  const closes = event.key === "Escape" && event.target.closest("details.reject[open]");
  if (closes && !event.isComposing) {
    closes.open = false;
    (cardOf(closes) ?? closes.querySelector("summary")).focus();
  } else if (isOn() && help && !typing && !meansMore && !event.defaultPrevented && !help.open) {
    if (press(event, cardOf(event.target))) event.preventDefault();
  }
});

/* --- Help, and the switch ------------------------------------------------------------------------ */

function showSwitch() {
  document.body.classList.toggle("keys-on", isOn());
  switches.forEach((each) => (each.checked = isOn()));
}

for (const each of switches) {
  each.addEventListener("change", () => {
    remember("keys", each.checked ? "on" : "off");
    showSwitch();
  });
}
document.querySelector("[data-keys-help]")?.addEventListener("click", () => help.showModal());
document.querySelectorAll("[data-keys]").forEach((each) => (each.hidden = false));
document.querySelectorAll("[data-without-keys]").forEach((each) => each.remove());
if (help) showSwitch();
