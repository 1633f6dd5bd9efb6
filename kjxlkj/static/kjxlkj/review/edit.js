/* Editing in place. A form that is left keeps what was typed in it and comes back as it was. */

import { cardOf, fetchOrTell, isBusy, swap } from "./cards.js";
import { say } from "./say.js";

const MOST_ROWS = 40;
const FIELD = ":is(input:not([type=hidden]), textarea)";

/* Where the form is all there is, leaving it leads back. */
const isPage = document.querySelector("[data-edit-page]") !== null;

export async function edit(card) {
  const form = card.querySelector(".edit-form");
  if (form) return show(form);
  const link = card.querySelector("a.edit");
  if (!link) return say("There is nothing to edit here.");
  const page = await fetchOrTell(link.href);
  const fresh = page?.getElementById(card.id);
  if (!fresh || !card.isConnected || isBusy(card)) return; // decided meanwhile
  swap(card, fresh);
  show(fresh.querySelector(".edit-form"));
}

function show(form) {
  form.hidden = false;
  form.querySelectorAll("textarea").forEach(grow);
  form.querySelector(FIELD).focus();
}

function leave(form) {
  const card = cardOf(form);
  form.hidden = true;
  card.focus();
}

/* As many lines as the text has, where the browser does not see to it. */
function grow(area) {
  if (CSS.supports("field-sizing", "content")) return;
  area.rows = Math.min(MOST_ROWS, Math.max(2, area.value.split("\n").length + 1));
}

document.addEventListener("input", (event) => {
  const form = event.target.closest(".edit-form");
  if (!form) return;
  form.dataset.typed = "";
  if (event.target.matches("textarea")) grow(event.target);
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a.edit, [data-cancel-edit]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.defaultPrevented || isPage) return;
  event.preventDefault();
  if (link.matches("a.edit")) edit(cardOf(link));
  else leave(link.closest(".edit-form"));
});

document.addEventListener("keydown", (event) => {
  const form = event.target.closest(".edit-form");
  if (!form || event.repeat || event.isComposing) return;
  if (event.key === "Escape" && !isPage) {
    event.preventDefault();
    leave(form);
  } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    form.requestSubmit(form.querySelector("button.accept"));
  }
});
