/* The form of a rule: fields instead of JSON, each with the JSON in a second tab. The text areas that the server made
   stay what is sent: a form writes into its text area when something is changed in it, and never before. */

import { ConditionBuilder } from "./condition.js";
import { button, clearFaults, element, newId, select, showFault } from "./dom.js";
import { SettingsForm } from "./settings.js";
import { CannotShow, isObject, readJson } from "./tree.js";

const declared = JSON.parse(document.getElementById("rule-declarations").textContent);
const row = (field) => document.querySelector(`.form-row.field-${field}`);

/* A text area of JSON and the form beside it. `form` has show(value), which raises `CannotShow`, and mark(faults). */
class Tabs {
  constructor(field, label, make) {
    this.field = field;
    this.source = document.getElementById(`id_${field}`);
    this.form = element("div", { className: "tab-panel", role: "tabpanel", id: newId("panel") });
    this.json = element("div", { className: "tab-panel", role: "tabpanel", id: newId("panel") });
    this.tabs = [this.tab("Form", this.form), this.tab("JSON", this.json)];
    const bar = element("div", { className: "tabs", role: "tablist", "aria-label": label, onkeydown: (event) => this.move(event) }, ...this.tabs);
    const line = row(field);
    this.json.append(...line.querySelectorAll(":scope > div"));
    line.append(bar, this.form, this.json);
    this.filled = make(this.form, (value) => this.write(value));
    this.source.addEventListener("input", (event) => event.isTrusted && (this.stale = true));
    this.fill();
  }

  tab(name, panel) {
    const made = button(name, () => this.choose(this.tabs.indexOf(made)), { className: "tab", role: "tab", id: newId("tab"), "aria-controls": panel.id });
    panel.setAttribute("aria-labelledby", made.id);
    return made;
  }

  move(event) {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    event.preventDefault();
    const place = 1 - this.tabs.indexOf(document.activeElement);
    this.choose(place);
    this.tabs[place].focus();
  }

  choose(place) {
    if (place === 0 && this.stale) {
      this.fill();
      return;
    }
    [this.form, this.json].forEach((panel, index) => (panel.hidden = index !== place));
    this.tabs.forEach((tab, index) => {
      tab.setAttribute("aria-selected", String(index === place));
      tab.tabIndex = index === place ? 0 : -1;
    });
  }

  /* Into the form what the text area holds; what has no place there stays in its own tab, and is told of. */
  fill() {
    this.json.querySelector(".cannot-show")?.remove();
    this.stale = false;
    try {
      this.filled.show(this.source.value.trim() === "" ? {} : readJson(this.source.value));
      this.choose(0);
    } catch (error) {
      if (!(error instanceof CannotShow || error instanceof SyntaxError)) throw error;
      const why = error instanceof CannotShow ? error.message : "it is no JSON";
      this.json.prepend(element("p", { className: "notice cannot-show", role: "status" }, `The form cannot show this: ${why}.`));
      this.choose(1);
      this.stale = true;
    }
  }

  write(value) {
    this.source.value = JSON.stringify(value, null, 2);
    this.source.dispatchEvent(new Event("input", { bubbles: true }));
  }

  mark(faults) {
    clearFaults(this.json);
    if (!faults.length) this.filled.mark([]);
    else if (this.form.hidden) this.list(this.json, faults);
    else this.list(this.form, this.filled.mark(faults) ?? []);
  }

  list(panel, faults) {
    faults.forEach(({ path, message }) => showFault(panel, panel === this.json ? this.source : null, `${path.slice(1)}${path ? ": " : ""}${message}`));
  }
}

/* The kind of action, and the form of its settings. What was filled in for one kind waits while another is chosen. */
class ActionForm {
  constructor(container, changed) {
    this.changed = changed;
    this.waiting = new Map();
    this.kind = element("div", { className: "setting" });
    this.rest = element("div");
    container.append(this.kind, this.rest);
    this.settings = new SettingsForm(this.rest, declared, (value) => changed(value));
  }

  show(value) {
    if (!isObject(value)) throw new CannotShow("it is not an object");
    const action = declared.actions.find((each) => each.kind === value.kind);
    if (!action) throw new CannotShow(value.kind === undefined ? "it names no kind" : `“${value.kind}” is not known here`);
    const kinds = declared.actions.map((each) => [each.kind, each.label]);
    const id = newId("kind");
    const chosen = select(kinds, value.kind, { id, onchange: (event) => this.change(event.target.value) });
    this.kind.replaceChildren(element("label", { for: id }, "Kind"), chosen);
    this.control = chosen;
    this.settings.show(action.schema, value);
  }

  change(kind) {
    this.waiting.set(this.settings.value.kind, this.settings.value);
    const value = this.waiting.get(kind) ?? { kind };
    this.settings.show(declared.actions.find((each) => each.kind === kind).schema, value);
    this.changed(value);
  }

  mark(faults) {
    return this.settings.mark(faults);
  }
}

/* --- What is shown only where it counts ---------------------------------------------------------- */

const PRESETS = [["Every hour", "0 * * * *"], ["Every night at 3:00", "0 3 * * *"], ["Every Monday at 3:00", "0 3 * * 1"]];

function follow(trigger) {
  const show = () => {
    const byEvent = trigger.value.startsWith("note.");
    row("schedule").hidden = trigger.value !== "schedule";
    for (const field of ["settle_seconds", "on_automation"]) row(field).hidden = !byEvent;
  };
  trigger.addEventListener("change", show);
  show();
}

function addPresets(schedule) {
  const use = (line) => {
    schedule.value = line;
    schedule.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const presets = PRESETS.map(([label, line]) => button(label, () => use(line)));
  row("schedule").append(element("div", { className: "presets" }, ...presets), document.getElementById("next-times"));
}

/* --- Faults beside their fields ------------------------------------------------------------------ */

function distribute(faults, tabs) {
  document.querySelectorAll("#rule_form .form-row").forEach((each) => {
    if (!tabs.some(({ field }) => each === row(field))) clearFaults(each);
  });
  for (const tab of tabs) {
    row(tab.field).querySelector(":scope > .errorlist")?.remove(); // of the last attempt to save; these are newer
    const mine = faults.filter(({ path }) => path.match(/^[a-z_]+/)?.[0] === tab.field);
    tab.mark(mine.map(({ path, message }) => ({ path: path.slice(tab.field.length), message })));
  }
  for (const { path, message } of faults) {
    const line = /^[a-z_]+$/.test(path) && !tabs.some(({ field }) => field === path) && row(path);
    if (line) showFault(line, document.getElementById(`id_${path}`), message);
  }
}

/* --- The page ------------------------------------------------------------------------------------ */

/* The question about a note lies in the form, where Enter would save the rule. */
document.getElementById("ask-why").hidden = false;
document.getElementById("why").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  document.getElementById("preview").dispatchEvent(new Event("asked"));
});

/* Who may only read the rule has no fields to fill in. */
if (document.getElementById("id_condition_json")) {
  const tabs = [
    new Tabs("condition_json", "Condition", (panel, changed) => new ConditionBuilder(panel, declared, changed)),
    new Tabs("action_json", "Action", (panel, changed) => new ActionForm(panel, changed)),
  ];
  follow(document.getElementById("id_trigger"));
  addPresets(document.getElementById("id_schedule"));
  document.addEventListener("htmx:afterSwap", (event) => {
    const faults = event.detail.target.id === "preview-more" && document.getElementById("rule-faults");
    if (faults) distribute(JSON.parse(faults.textContent), tabs); // none where the answer is that nothing can be told
  });
}
