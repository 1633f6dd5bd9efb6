/* The field for each kind of value that a word of the vocabulary takes: what fits into it, what stands in it at first,
   and the element, which tells of every change. */

import { element, select } from "./dom.js";
import { isObject } from "./tree.js";

function typed(type, write, read, more = {}) {
  return (value, attributes, changed) =>
    element("input", { type, value: write(value), oninput: (event) => changed(read(event.target.value)), ...more, ...attributes });
}

const list = (text) => text.split(",").map((each) => each.trim()).filter(Boolean);
const isTag = (value) => typeof value === "string" && value === value.trim() && value !== "" && !value.includes(",");
const isScalar = (value) => ["string", "number", "boolean"].includes(typeof value);
const isPair = ([key, value]) =>
  isScalar(value) && !/[=,]/.test(key) && key === key.trim() && !String(value).includes(",") && String(value).trim() === String(value);
const number = (text) => (text.trim() === "" ? null : Number(text));

function pairs(text) {
  const found = list(text).map((each) => each.split("="));
  if (!found.length || found.some((pair) => pair.length < 2)) return text;
  return Object.fromEntries(found.map(([key, ...value]) => [key.trim(), value.join("=").trim()]));
}

const text = {
  empty: "",
  fits: (value) => typeof value === "string" && !/[\r\n]/.test(value),
  field: typed("text", String, String),
};

const whole = (least) => ({
  empty: null,
  fits: (value) => value === null || typeof value === "number",
  field: typed("number", (value) => value ?? "", number, { min: least, step: 1 }),
});

const INPUTS = {
  text,
  folder: { ...text, field: typed("text", String, String, { placeholder: "in no folder" }) },
  number: whole(0),
  days: whole(1),
  time: {
    ...text,
    // A date is picked; a moment is typed.
    field: (value, attributes, changed) =>
      typed(/^(\d{4}-\d\d-\d\d)?$/.test(value) ? "date" : "text", String, String)(value, attributes, changed),
  },
  tags: {
    empty: [],
    fits: (value) => Array.isArray(value) && value.every(isTag),
    field: typed("text", (value) => value.join(", "), list, { placeholder: "one, another" }),
  },
  pairs: {
    empty: {},
    fits: (value) => typeof value === "string" || (isObject(value) && Object.entries(value).every(isPair)),
    field: typed(
      "text",
      (value) => (typeof value === "string" ? value : Object.entries(value).map((pair) => pair.join(" = ")).join(", ")),
      pairs,
      { placeholder: "status = open" },
    ),
  },
  boolean: {
    empty: true,
    fits: (value) => typeof value === "boolean",
    field: (value, attributes, changed) =>
      select([["true", "yes"], ["false", "no"]], String(value), {
        onchange: (event) => changed(event.target.value === "true"),
        ...attributes,
      }),
  },
};

function choice(choices) {
  return {
    empty: choices[0],
    fits: (value) => choices.includes(value),
    field: (value, attributes, changed) =>
      select(choices.map((each) => [each, each.replaceAll("_", " ")]), value, {
        onchange: (event) => changed(event.target.value),
        ...attributes,
      }),
  };
}

/* Of a word's declaration `{input, choices}`. */
export const inputOf = (word) => (word.input === "choice" ? choice(word.choices) : (INPUTS[word.input] ?? text));
