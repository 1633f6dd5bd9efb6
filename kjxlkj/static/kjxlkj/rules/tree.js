/* Conditions as a person sees them (groups of rows) and as JSON says them, and the way from one to the other and back.

   A group holds when all, any or none of its parts do; a row is one word of the vocabulary with its value; what has no
   field of its own is kept as it is. `build(parse(tree))` means the same as `tree`, and is never deeper or larger. */

let made = 0;

const part = (fields) => ({ id: `part-${++made}`, ...fields });

export const newRow = (word, value) => part({ type: "row", word, value });
export const newGroup = (mode, parts = []) => part({ type: "group", mode, parts });

/* Its message says what of a tree has no place in the form. */
export class CannotShow extends Error {}

export const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/* JSON without numbers that would come out as others: too large ones, and 1.0, which is not 1 to everybody. */
export function readJson(text) {
  return JSON.parse(text, (_, each, context) => {
    if (typeof each !== "number") return each;
    const written = context?.source ?? String(each); // older browsers do not tell
    const exact = Number.isInteger(each) ? Number.isSafeInteger(each) && String(each) === written : Number.isFinite(each);
    if (!exact) throw new CannotShow(`the number ${written} would not stay as it is`);
    return each;
  });
}

/* --- From JSON ----------------------------------------------------------------------------------- */

/* The group that shows `tree`, and which part shows each of its places: `at(path)` is the part's id.
   `words` is the vocabulary in its order, `fits(word, value)` whether there is a field for it. */
export function parse(tree, words, fits) {
  const reading = { words, fits, places: new Map() };
  const found = parseNode(tree, "", reading);
  const group = found.type === "group" ? found : newGroup("all", [found]);
  reading.places.set("", group.id);
  return { group, at: (path) => nearest(path, reading.places) };
}

function parseNode(node, path, reading) {
  if (!isObject(node)) throw new CannotShow("a condition is not an object");
  const keys = Object.keys(node).sort((a, b) => order(a, reading.words) - order(b, reading.words));
  const parts = keys.map((key) => {
    const made = parseEntry(key, node[key], `${path}.${key}`, reading);
    reading.places.set(`${path}.${key}`, made.id);
    return made;
  });
  const made = parts.length === 1 ? parts[0] : newGroup("all", parts);
  reading.places.set(path, made.id);
  return made;
}

/* Rows first, as the vocabulary has them: the database keeps no order of keys. */
function order(key, words) {
  const place = words.indexOf(key);
  return place >= 0 ? place : words.length + ["any", "not", "all"].indexOf(key);
}

function parseEntry(key, value, path, reading) {
  if (key === "all" || key === "any") return newGroup(key, parseList(key, value, path, reading));
  if (key !== "not") return part({ type: reading.fits(key, value) ? "row" : "other", word: key, value });
  if (isObject(value) && Object.keys(value).join() === "any") {
    return newGroup("none", parseList("any", value.any, `${path}.any`, reading));
  }
  return newGroup("none", [parseNode(value, path, reading)]);
}

function parseList(key, value, path, reading) {
  if (!Array.isArray(value)) throw new CannotShow(`“${key}” has no list`);
  return value.map((item, index) => parseNode(item, `${path}[${index}]`, reading));
}

/* --- To JSON ------------------------------------------------------------------------------------- */

/* The JSON of a group, and which part each of its places comes from: `at(path)` is the part's id. */
export function build(group) {
  const origins = new Map();
  const tree = buildPart(group, origins);
  const places = new Map([["", group.id]]);
  locate(tree, "", origins, places);
  return { tree, at: (path) => nearest(path, places) };
}

function buildPart(each, origins) {
  if (each.type !== "group") return entry(each.word, each.value, each.id, origins);
  const inner = each.parts.map((one) => buildPart(one, origins));
  if (each.mode === "all") return conjunction(inner, origins);
  if (each.mode === "any") return entry("any", inner, each.id, origins);
  const negated = inner.length === 1 ? inner[0] : entry("any", inner, each.id, origins);
  return entry("not", negated, each.id, origins);
}

function entry(key, value, id, origins) {
  const made = { [key]: value };
  origins.set(made, new Map([[key, id]]));
  return made;
}

/* Objects that must all hold, as one. A key that comes again goes into an object of the list `all`. Nothing gets deeper
   than it was: `parse` puts what came out of such a list last, and the keys that stood outside of it stay there. */
function conjunction(objects, origins) {
  const byKey = new Map();
  for (const found of objects.flatMap((each) => flattened(each, origins))) {
    byKey.set(found.key, [...(byKey.get(found.key) ?? []), found]);
  }
  const columns = [...byKey.values()];
  const layers = Array.from({ length: Math.max(1, ...columns.map((same) => same.length)) }, (_, index) => {
    const there = columns.map((same) => same[index]).filter(Boolean);
    const layer = Object.fromEntries(there.map(({ key, value }) => [key, value]));
    origins.set(layer, new Map(there.map(({ key, id }) => [key, id])));
    return layer;
  });
  const [first, ...more] = layers;
  if (more.length) first.all = more;
  return first;
}

function flattened(object, origins) {
  return Object.entries(object).flatMap(([key, value]) =>
    key === "all"
      ? value.flatMap((item) => flattened(item, origins))
      : [{ key, value, id: origins.get(object).get(key) }],
  );
}

function locate(node, path, origins, places) {
  for (const [key, value] of Object.entries(node)) {
    const where = `${path}.${key}`;
    const id = origins.get(node)?.get(key);
    if (id) places.set(where, id);
    const list = (key === "any" || key === "all") && Array.isArray(value) ? value : [];
    list.forEach((item, index) => locate(item, `${where}[${index}]`, origins, places));
    if (key === "not") locate(value, where, origins, places);
  }
}

function nearest(path, places) {
  for (let end = path.length; end > 0; end = Math.max(path.lastIndexOf(".", end - 1), path.lastIndexOf("[", end - 1))) {
    const id = places.get(path.slice(0, end));
    if (id) return id;
  }
  return places.get("");
}

/* How deep and how large a tree is, as the server counts. */
export function measure(node) {
  let nodes = 1;
  let deepest = 1;
  const within = (inner) => {
    const found = measure(inner);
    nodes += found.nodes;
    deepest = Math.max(deepest, 1 + found.depth);
  };
  for (const [key, value] of Object.entries(node)) {
    if (key === "all" || key === "any") value.forEach(within);
    else if (key === "not") within(value);
    else nodes += 1;
  }
  return { depth: deepest, nodes };
}
