/* Cards that are ticked to be decided together: one by one, or all from the last one ticked to this one. */

import { follow } from "./cards.js";
import { measure } from "./clock.js";

const form = document.getElementById("selected");
let last = null;

const boxes = () => [...document.querySelectorAll("input.select")];

function upTo(box) {
  const all = boxes();
  const [from, to] = [all.indexOf(last), all.indexOf(box)].sort((a, b) => a - b);
  if (from >= 0) all.slice(from, to + 1).forEach((each) => (each.checked = box.checked));
}

/* `range`: together with all between it and the last one. */
export function select(box, range) {
  box.checked = range && last?.isConnected ? last.checked : !box.checked;
  if (range) upTo(box);
  last = box;
  recount();
}

function recount() {
  if (!form) return;
  const count = boxes().filter((box) => box.checked).length;
  form.hidden = count === 0;
  form.querySelectorAll("[data-selected-count]").forEach((output) => (output.textContent = String(count)));
}

document.addEventListener("click", (event) => {
  if (!event.target.matches("input.select")) return;
  if (event.shiftKey) upTo(event.target);
  last = event.target;
  recount();
});

form?.addEventListener("submit", (event) => {
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "yes";
  const data = new FormData(form);
  measure(data, null);
  for (const name of ["via", "seconds"]) if (form.elements[name]) form.elements[name].value = data.get(name);
});

addEventListener("pageshow", () => {
  delete form?.dataset.sent;
  recount();
});
follow(recount);
