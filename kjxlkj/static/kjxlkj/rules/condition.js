/* Builds a condition without JSON: groups (all of, any of, none of) of rows, each a word of the vocabulary and a value. */

import { button, clearFaults, element, newId, select, showFault } from "./dom.js";
import { inputOf } from "./inputs.js";
import { build, measure, newGroup, newRow, parse } from "./tree.js";

const MODES = [["all", "all of these hold"], ["any", "any of these holds"], ["none", "none of these hold"]];

export class ConditionBuilder {
  /* `declared`: {words: [{word, label, input, choices}], max_depth, max_nodes}; `changed(tree)` is called after each edit. */
  constructor(container, declared, changed) {
    this.container = container;
    this.declared = declared;
    this.changed = changed;
    this.words = new Map(declared.words.map((each) => [each.word, each]));
    this.said = element("p", { className: "visually-hidden", role: "status" });
  }

  /* Show `tree`. Raises `CannotShow`. */
  show(tree) {
    const fits = (word, value) => this.words.has(word) && inputOf(this.words.get(word)).fits(value);
    const { group, at } = parse(tree, [...this.words.keys()], fits);
    Object.assign(this, { root: group, at });
    this.render();
  }

  /* Show what is wrong: `faults` as {path, message}, the path from the root, such as “.any[0].tag”. */
  mark(faults) {
    clearFaults(this.container);
    for (const { path, message } of faults) {
      const shown = document.getElementById(this.at(path));
      if (shown) showFault(shown, shown.querySelector(":scope > .value"), message);
    }
  }

  render(focus) {
    this.tell("visually-hidden", "");
    this.container.replaceChildren(this.group(this.root, null), this.said);
    if (focus) this.container.querySelector(focus)?.focus();
  }

  sync() {
    const { tree, at } = build(this.root);
    this.at = at;
    clearFaults(this.container);
    this.changed(tree);
  }

  /* A change of structure; takes itself back where the result would be too deep or too large. */
  restructure(change, undo, focus) {
    change();
    const { depth, nodes } = measure(build(this.root).tree);
    if (depth > this.declared.max_depth || nodes > this.declared.max_nodes) {
      undo();
      const deep = depth > this.declared.max_depth;
      this.tell("refused", deep ? `Conditions nest ${this.declared.max_depth} deep at the most.` : "The condition is as large as it may be.");
      return;
    }
    this.render(focus());
    this.sync();
  }

  /* No fault of a field: those come and go with each answer of the server. */
  tell(className, message) {
    this.said.className = className;
    this.said.textContent = message;
  }

  // --- Groups -------------------------------------------------------------------------------------

  group(group, parent) {
    const combines = select(MODES, group.mode, {
      className: "mode",
      "aria-label": "How the conditions of this group count together",
      onchange: (event) => {
        const before = group.mode;
        this.restructure(
          () => (group.mode = event.target.value),
          () => (event.target.value = group.mode = before),
          () => `#${group.id} > .group-head > .mode`,
        );
      },
    });
    const head = element("div", { className: "group-head" }, combines);
    if (parent) head.append(this.remover(group, parent, "Remove this group"));
    const parts = group.parts.map((each) => element("li", {}, this.part(each, group)));
    return element(
      "div",
      { id: group.id, className: `group ${group.mode}`, role: "group", "aria-label": parent ? "Group of conditions" : "Conditions" },
      head,
      parts.length ? element("ul", {}, ...parts) : element("p", { className: "quiet" }, this.nothing(group, parent)),
      element(
        "div",
        { className: "group-foot" },
        button("Add a condition", () => this.add(group, this.firstRow()), { className: "button add-row" }),
        button("Add a group", () => this.add(group, newGroup(group.mode === "any" ? "all" : "any", [this.firstRow()])), {
          className: "button add-group",
        }),
      ),
    );
  }

  nothing(group, parent) {
    if (group.mode === "all") return "Nothing here: every note.";
    return parent ? "Nothing here yet. Add a condition, or remove the group." : "Nothing here yet. Add a condition.";
  }

  firstRow() {
    const first = this.declared.words[0];
    return newRow(first.word, inputOf(first).empty);
  }

  add(group, made) {
    const row = made.type === "row" ? made : made.parts[0];
    this.restructure(
      () => group.parts.push(made),
      () => group.parts.pop(),
      () => `#${row.id} > .word`,
    );
  }

  remover(each, parent, label) {
    const remove = () => {
      const place = parent.parts.indexOf(each);
      const next = parent.parts[place + 1] ?? parent.parts[place - 1];
      parent.parts.splice(place, 1);
      this.render(next ? `#${next.id} .remove` : `#${parent.id} > .group-foot > .add-row`);
      this.sync();
    };
    return button("×", remove, { className: "remove", "aria-label": label, title: label });
  }

  // --- Rows ---------------------------------------------------------------------------------------

  part(each, parent) {
    if (each.type === "group") return this.group(each, parent);
    return each.type === "row" ? this.row(each, parent) : this.other(each, parent);
  }

  row(row, parent) {
    const declared = this.words.get(row.word);
    const words = this.declared.words.map((each) => [each.word, each.label]);
    const word = select(words, row.word, { className: "word", "aria-label": "Condition", onchange: (event) => this.reword(row, event.target.value) });
    const value = inputOf(declared).field(row.value, { className: "value", "aria-label": declared.label }, (given) => {
      row.value = given;
      this.sync();
    });
    return element("div", { id: row.id, className: "row" }, word, value, this.remover(row, parent, `Remove “${declared.label}”`));
  }

  /* Another word: what was typed stays where it fits. */
  reword(row, word) {
    const input = inputOf(this.words.get(word));
    row.word = word;
    if (!input.fits(row.value)) row.value = input.empty;
    this.render(`#${row.id} > .word`);
    this.sync();
  }

  other(each, parent) {
    const id = newId("other");
    return element(
      "div",
      { id: each.id, className: "row other" },
      element("code", { "aria-describedby": id }, `${each.word}: ${JSON.stringify(each.value)}`),
      element("span", { className: "quiet", id }, "Kept as it is; the JSON tab can change it."),
      this.remover(each, parent, `Remove “${each.word}”`),
    );
  }
}
