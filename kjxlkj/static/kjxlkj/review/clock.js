/* How long a proposal was looked at before it was decided, while the page could be seen, and by what means. */

import { cards, follow } from "./cards.js";

let before = 0;
let since = document.hidden ? null : performance.now();
let lastDecision = 0;
let means = "click";
const seen = new Map();

const now = () => before + (since === null ? 0 : performance.now() - since);

document.addEventListener("visibilitychange", () => {
  before = now();
  since = document.hidden ? null : performance.now();
});
document.addEventListener("keydown", () => (means = "key"), true);
document.addEventListener("pointerdown", () => (means = "click"), true);

function look(card) {
  if (!seen.has(card.id)) seen.set(card.id, now());
}

/* A card at the edge of the window is not read yet. */
const eyes = new IntersectionObserver(
  (entries) => entries.forEach((entry) => entry.isIntersecting && look(entry.target)),
  { rootMargin: "-15% 0px" },
);
follow((card) => eyes.observe(card));
document.addEventListener("focusin", (event) => cards().includes(event.target) && look(event.target));

/* Write into what is sent how it was decided, where the page asks for that. */
export function measure(data, card) {
  if (data.has("via") && data.get("via") !== "bulk") data.set("via", means);
  if (data.has("seconds")) {
    const start = Math.max(card ? (seen.get(card.id) ?? 0) : 0, lastDecision);
    data.set("seconds", ((now() - start) / 1000).toFixed(3));
  }
  lastDecision = now();
}
