/* The form of an action's settings, made from its JSON schema. A setting that nobody touches stays as it was, there or
   not; what has no field of its own is kept and named. */

import { ConditionBuilder } from "./condition.js";
import { clearFaults, element, newId, select, showFault } from "./dom.js";
import { CannotShow, isObject } from "./tree.js";

export class SettingsForm {
  /* `declared` is what conditions are made of; `changed(value)` is called with the whole value after each edit. */
  constructor(container, declared, changed) {
    this.container = container;
    this.declared = declared;
    this.changed = changed;
  }

  show(schema, value) {
    this.value = value;
    this.fields = new Map(); // by path: {box, control} of a field, or {builder} of a condition
    this.container.replaceChildren(...this.properties(schema, [], this.value));
    if (!this.container.childElementCount) {
      this.container.append(element("p", { className: "quiet" }, "There is nothing to set."));
    }
  }

  /* Show what is wrong; returns the faults for which there is no field. */
  mark(faults) {
    clearFaults(this.container);
    const conditions = new Map();
    const left = faults.filter(({ path, message }) => {
      const at = [...this.fields.keys()].filter((each) => path === each || path.startsWith(`${each}.`) || path.startsWith(`${each}[`)).pop();
      const field = this.fields.get(at);
      if (!field) return true;
      if (field.builder) conditions.set(field.builder, [...(conditions.get(field.builder) ?? []), { path: path.slice(at.length), message }]);
      else showFault(field.box, field.control, message);
      return false;
    });
    conditions.forEach((each, builder) => builder.mark(each));
    return left;
  }

  /* Set what `path` names, or leave it out: undefined. */
  set(path, given) {
    this.value = put(this.value, path, given);
    clearFaults(this.container);
    this.changed(this.value);
  }

  // --- Fields -------------------------------------------------------------------------------------

  properties(schema, path, value) {
    const declared = schema.properties ?? {};
    const required = schema.required ?? [];
    const fields = Object.entries(declared)
      .filter(([, each]) => !("const" in each))
      .map(([name, each]) => this.property(name, each, [...path, name], value?.[name], required.includes(name)));
    const hidden = Object.keys(value ?? {}).filter((name) => !Object.hasOwn(declared, name) && !(path.length === 0 && name === "kind"));
    if (hidden.length) fields.push(kept(`Also set, and kept: ${hidden.join(", ")}. The JSON tab can change it.`));
    return fields;
  }

  property(name, schema, path, value, required) {
    const label = schema.title ?? name.replaceAll("_", " ");
    if (schema.type === "object" && !schema.format) return this.section(schema, path, value, label);
    const make = this.kind(schema, value);
    if (!make) return element("div", { className: "setting" }, element("strong", {}, label), kept(`Kept as it is: ${JSON.stringify(value)}. The JSON tab can change it.`));
    return make.call(this, { schema, path, value, label, required });
  }

  /* What makes the field for a value, or nothing where the value does not fit into any. */
  kind(schema, value) {
    const types = [schema.type].flat();
    const unset = value === undefined || (value === null && types.includes("null"));
    const listed = choicesOf(schema);
    if (listed) return unset || listed.some(([each]) => each === value) ? this.choice : null;
    if (types.includes("object")) return unset || isObject(value) ? this.condition : null;
    if (types.includes("array")) return this.listKind(schema, value, unset);
    if (types.includes("boolean")) return unset || typeof value === "boolean" ? this.check : null;
    if (types.includes("integer") || types.includes("number")) return unset || typeof value === "number" ? this.number : null;
    return unset || (typeof value === "string" && !/\r/.test(value)) ? this.text : null;
  }

  listKind(schema, value, unset) {
    const listed = choicesOf(schema.items ?? {});
    const item = listed ? (each) => listed.some(([one]) => one === each) : (each) => typeof each === "string" && each.trim() === each && each !== "" && !/[\r\n]/.test(each);
    if (!unset && !(Array.isArray(value) && value.every(item) && new Set(value).size === value.length)) return null;
    return listed ? this.checks : this.lines;
  }

  section(schema, path, value, label) {
    if (value !== undefined && !isObject(value)) return kept(`${label}: kept as it is, ${JSON.stringify(value)}. The JSON tab can change it.`);
    return element(
      "fieldset",
      { className: "settings" },
      element("legend", {}, label),
      schema.description ? element("p", { className: "help" }, schema.description) : null,
      ...this.properties(schema, path, value),
    );
  }

  text({ schema, path, value, label, required }) {
    const long = (schema.maxLength ?? 0) > 200;
    const control = element(long ? "textarea" : "input", {
      ...(long ? { rows: 3 } : { type: schema.format === "uri" ? "url" : "text" }),
      value: value ?? "",
      maxLength: schema.maxLength ?? -1,
      placeholder: schema.default ?? "",
      oninput: (event) => this.set(path, event.target.value === "" && !required ? undefined : event.target.value),
    });
    return this.field(schema, path, label, control, required);
  }

  number({ schema, path, value, label, required }) {
    const control = element("input", {
      type: "number",
      min: schema.minimum,
      max: schema.maximum,
      step: schema.type === "number" ? "any" : 1,
      value: value ?? "",
      placeholder: schema.default ?? "",
      oninput: (event) => this.set(path, event.target.value.trim() === "" ? undefined : Number(event.target.value)),
    });
    return this.field(schema, path, label, control, required);
  }

  check({ schema, path, value, label }) {
    const control = element("input", { type: "checkbox", checked: value ?? schema.default ?? false, onchange: (event) => this.set(path, event.target.checked) });
    return this.field(schema, path, label, control, false, "setting check");
  }

  choice({ schema, path, value, label, required }) {
    const unset = value ?? schema.default ?? "";
    const listed = choicesOf(schema).map(([each, title]) => [String(each), title]);
    const options = schema.default === undefined ? [["", "–"], ...listed] : listed;
    const control = select(options, String(unset), {
      onchange: (event) => this.set(path, choicesOf(schema).find(([each]) => String(each) === event.target.value)?.[0]),
    });
    return this.field(schema, path, label, control, required);
  }

  lines({ schema, path, value, label, required }) {
    const control = element("textarea", {
      rows: 3,
      value: (value ?? []).join("\n"),
      oninput: (event) => {
        const lines = [...new Set(event.target.value.split("\n").map((each) => each.trim()).filter(Boolean))];
        this.set(path, lines.length ? lines : undefined);
      },
    });
    return this.field(schema, path, label, control, required);
  }

  checks({ schema, path, value, label }) {
    const chosen = new Set(value ?? []);
    const listed = choicesOf(schema.items);
    const change = (each, on) => {
      chosen[on ? "add" : "delete"](each);
      this.set(path, chosen.size ? listed.map(([one]) => one).filter((one) => chosen.has(one)) : undefined);
    };
    const boxes = listed.map(([each, title]) => {
      const box = element("input", { type: "checkbox", checked: chosen.has(each), onchange: (event) => change(each, event.target.checked) });
      return element("label", {}, box, title);
    });
    const group = element("fieldset", { className: "setting checks" }, element("legend", {}, label), element("div", {}, ...boxes), help(schema));
    this.fields.set(pathOf(path), { box: group });
    return group;
  }

  condition({ schema, path, value, label }) {
    const box = element("div", { className: "condition" });
    const builder = new ConditionBuilder(box, this.declared, (tree) => this.set(path, Object.keys(tree).length ? tree : undefined));
    try {
      builder.show(value ?? {});
    } catch (error) {
      if (!(error instanceof CannotShow)) throw error;
      return kept(`${label}: kept as it is (${error.message}). The JSON tab can change it.`);
    }
    this.fields.set(pathOf(path), { builder });
    return element("fieldset", { className: "setting" }, element("legend", {}, label), help(schema), box);
  }

  field(schema, path, label, control, required, className = "setting") {
    control.id = newId("setting");
    const told = help(schema);
    if (told) {
      told.id = `${control.id}-help`;
      control.dataset.help = told.id;
      control.setAttribute("aria-describedby", told.id);
    }
    if (required) control.setAttribute("aria-required", "true");
    const named = element("label", { for: control.id, className: required ? "required" : "" }, label);
    const box = element("div", { className }, ...(className === "setting" ? [named, control] : [control, named]), told);
    this.fields.set(pathOf(path), { box, control });
    return box;
  }
}

const kept = (text) => element("p", { className: "notice" }, text);
const help = (schema) => (schema.description ? element("p", { className: "help" }, schema.description) : null);
const pathOf = (path) => path.map((name) => `.${name}`).join("");

function choicesOf(schema) {
  if (schema.oneOf) return schema.oneOf.map((each) => [each.const, each.title ?? String(each.const)]);
  return schema.enum ? schema.enum.map((each) => [each, String(each).replaceAll("_", " ")]) : null;
}

/* `value` with what `path` names set, or left out: undefined. An object that this empties is left out, too. */
function put(value, [name, ...rest], given) {
  const inner = rest.length ? put(isObject(value?.[name]) ? value[name] : {}, rest, given) : given;
  const others = Object.entries(value ?? {});
  const empty = inner === undefined || (rest.length && !Object.keys(inner).length);
  if (empty) return Object.fromEntries(others.filter(([key]) => key !== name));
  if (Object.hasOwn(value ?? {}, name)) return Object.fromEntries(others.map(([key, each]) => [key, key === name ? inner : each]));
  return Object.fromEntries([...others, [name, inner]]);
}
