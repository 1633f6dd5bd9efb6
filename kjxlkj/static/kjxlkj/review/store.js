/* What the browser keeps: a person's choices, and what one page of the queue leaves to the next. Where it may keep
   nothing, choices last as long as the page. */

const kept = new Map();

export function remembered(name) {
  try {
    return localStorage.getItem(`kjxlkj.${name}`) ?? kept.get(name);
  } catch {
    return kept.get(name);
  }
}

export function remember(name, value) {
  kept.set(name, value);
  try {
    localStorage.setItem(`kjxlkj.${name}`, value);
  } catch {
    /* it lasts as long as the page */
  }
}

const FOR_NEXT = "kjxlkj.next";

export function handOver(value) {
  try {
    sessionStorage.setItem(FOR_NEXT, JSON.stringify(value));
  } catch {
    /* the next page begins as any other */
  }
}

function taken() {
  try {
    const text = sessionStorage.getItem(FOR_NEXT);
    sessionStorage.removeItem(FOR_NEXT);
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/* What the page before has left to this one; null if nothing led here from there. */
export const handedOver = taken();
