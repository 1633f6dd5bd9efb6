/* What happens elsewhere than before the eyes: lines that are read out one after the other, and refusals that stay in
   sight until somebody has gone to their card. */

const MOST = 20;

const region = document.getElementById("announcement");
const refusals = document.getElementById("refusals");

export function say(text) {
  const line = document.createElement("p");
  line.textContent = text;
  region.append(line);
  while (region.children.length > MOST) region.firstElementChild.remove();
}

export function warn(card, text) {
  settle(card);
  const link = document.createElement("a");
  link.href = `#${card.id}`;
  link.textContent = text;
  const line = document.createElement("li");
  line.append(link);
  refusals.append(line);
  refusals.hidden = false;
}

export function settle(card) {
  for (const link of refusals.querySelectorAll("a")) if (link.hash === `#${card.id}`) link.parentElement.remove();
  refusals.hidden = refusals.children.length === 0;
}

export const refused = () => document.getElementById(refusals.querySelector("a")?.hash.slice(1));

refusals.addEventListener("click", (event) => {
  const card = document.getElementById(event.target.hash?.slice(1));
  if (!card) return;
  event.preventDefault();
  card.focus();
  settle(card);
});
