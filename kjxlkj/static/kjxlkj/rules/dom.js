/* Elements, made without HTML in texts: whatever a rule says, it stays text. */

let numbered = 0;

export const newId = (name) => `${name}-${++numbered}`;

/* `attributes`: properties of the element, those with a dash or in `ATTRIBUTES` as attributes, `on…` as listeners. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key.includes("-") || ATTRIBUTES.has(key)) made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const ATTRIBUTES = new Set(["role", "for", "list"]);

export const button = (text, onclick, attributes = {}) =>
  element("button", { type: "button", className: "button", onclick, ...attributes }, text);

export function select(options, value, attributes = {}) {
  const made = element("select", attributes);
  for (const [each, label] of options) made.append(element("option", { value: each, selected: each === value }, label));
  return made;
}

/* What is wrong beside what it is wrong with: `control` is told of it, too. */
export function showFault(beside, control, message) {
  const id = newId("fault");
  beside.append(element("p", { className: "fault", id }, message));
  if (!control) return;
  control.setAttribute("aria-invalid", "true");
  control.setAttribute("aria-describedby", `${control.dataset.help ?? ""} ${id}`.trim());
}

export function clearFaults(within) {
  within.querySelectorAll(".fault").forEach((each) => each.remove());
  within.querySelectorAll("[aria-invalid]").forEach((each) => {
    each.removeAttribute("aria-invalid");
    if (each.dataset.help) each.setAttribute("aria-describedby", each.dataset.help);
    else each.removeAttribute("aria-describedby");
  });
}
