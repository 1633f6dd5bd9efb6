/* What the browser keeps of a person's choices. Where it may keep nothing, they last as long as the page. */

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
