/* What a card shows when asked for more: its whole note, the three versions, and diffs in two columns. */

import { cardOf, fetchOrTell, fetchPart, follow } from "./cards.js";
import { say } from "./say.js";
import { remember, remembered } from "./store.js";

/* --- Parts that open and close ------------------------------------------------------------------- */

export async function toggle(link) {
  const card = cardOf(link);
  const open = card?.querySelector(`.part.${link.dataset.part}`);
  if (open && !open.contains(link)) {
    open.remove();
    link.removeAttribute("aria-expanded");
    return;
  }
  const page = await fetchOrTell(link.href);
  const part = page?.querySelector(".part");
  if (!part || !card.isConnected) return;
  if (open) {
    open.replaceWith(part);
    part.querySelector("a[data-part]")?.focus();
    return;
  }
  card.querySelector(".change").after(part);
  link.setAttribute("aria-expanded", "true");
  say(`${part.getAttribute("aria-label")}: shown below the change.`);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-part]");
  if (!link || !cardOf(link) || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  toggle(link);
});

/* --- Diffs in one column or two ------------------------------------------------------------------ */

const wide = matchMedia("(min-width: 64rem)");
let inTwo = (remembered("diff") ?? (new URLSearchParams(location.search).get("diff") === "side" ? "side" : "")) === "side";

export function switchDiffs() {
  if (!wide.matches) return say("The window is too narrow for two columns.");
  inTwo = !inTwo;
  remember("diff", inTwo ? "side" : "one");
  apply();
  say(inTwo ? "Changes of texts stand side by side." : "Changes of texts stand in one column.");
}

/* Fetched when they come into view: a page may have many, and long ones. */
const eyes = new IntersectionObserver(
  (entries) => entries.forEach((entry) => entry.isIntersecting && complete(entry.target)),
  { rootMargin: "300px 0px" },
);

async function complete(link) {
  const change = link.closest(".change");
  eyes.unobserve(link);
  if (!change || change.querySelector(".diff.side")) return;
  try {
    const page = await fetchPart(link.dataset.side);
    const unified = change.querySelector(".diff.unified");
    if (inTwo && unified && !change.querySelector(".diff.side")) unified.after(page.querySelector(".diff.side"));
  } catch {
    /* it stays in one column, and says the same */
  }
}

function apply(within = document) {
  document.body.dataset.diff = inTwo ? "side" : "one";
  for (const link of within.querySelectorAll("a[data-side]")) {
    link.textContent = inTwo ? "In one column" : "Side by side";
    if (inTwo && wide.matches) eyes.observe(link);
  }
}

follow(apply);
wide.addEventListener("change", () => apply());
document.addEventListener("click", (event) => {
  if (!event.target.closest("a[data-side]")) return;
  event.preventDefault();
  switchDiffs();
});
