/**
 * Reading JSON. `JSON.parse` of V8 15.0 can give a field another name: it expects the name that
 * followed last time, and compares it with the escapes of the text before they are read. After
 * `{"a":1,"\\":2}` it reads `{"a":1,"\t":2}` as the former. Only names with an escape are touched,
 * so those are read here without one.
 *
 * Invariants:
 *   N1. No name with an escape comes before `JSON.parse`.
 *   N2. For all texts the value is what RFC 8259 says; what is no JSON throws as `JSON.parse` does.
 * @module
 */

/** One string of a JSON text. */
const STRING = /"[^"\\]*(?:\\.[^"\\]*)*"/g;
/** What stands between a name and its value. */
const COLON = /[ \t\n\r]*:/y;

/**
 * Reads a JSON text, as `JSON.parse` should. Throws a `SyntaxError` for what is none.
 */
export function parseJson(text: string): unknown {
  if (!text.includes("\\")) return JSON.parse(text);
  const escaped = escapedNames(text);
  if (escaped.length === 0) return JSON.parse(text);
  const mark = unusedIn(text);
  const names = new Map<string, string>();
  let plain = "";
  let end = 0;
  for (const [at, name] of escaped) {
    const stand = `${mark}${names.size}`;
    names.set(stand, JSON.parse(name) as string);
    plain += `${text.slice(end, at)}"${stand}"`;
    end = at + name.length;
  }
  return renamed(JSON.parse(plain + text.slice(end)), names);
}

/** Whether any object in a value has a field of this name, however deep. */
export function hasName(value: unknown, name: string): boolean {
  const left = [value];
  while (left.length > 0) {
    const one = left.pop();
    if (typeof one !== "object" || one === null) continue;
    if (!Array.isArray(one) && Object.hasOwn(one, name)) return true;
    for (const inner of Object.values(one)) left.push(inner);
  }
  return false;
}

/** Names of fields with an escape in them, as they stand in the text, and where. */
function escapedNames(text: string): [at: number, name: string][] {
  const found: [number, string][] = [];
  STRING.lastIndex = 0;
  for (let match = STRING.exec(text); match !== null; match = STRING.exec(text)) {
    const [string] = match;
    if (!string.includes("\\")) continue;
    COLON.lastIndex = STRING.lastIndex;
    if (COLON.test(text)) found.push([match.index, string]);
  }
  return found;
}

/** A beginning of names that no text says, and that needs no escape. */
function unusedIn(text: string): string {
  for (let n = 0;; n++) {
    const mark = `name-${n}-`;
    if (!text.includes(mark)) return mark;
  }
}

/** The value with its names as they were, however deep it is. */
function renamed(value: unknown, names: ReadonlyMap<string, string>): unknown {
  const root = { value };
  const left: [holder: object, key: string][] = [[root, "value"]];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const [holder, key] = next;
    let one = (holder as Record<string, unknown>)[key];
    if (typeof one !== "object" || one === null) continue;
    if (!Array.isArray(one) && Object.keys(one).some((name) => names.has(name))) {
      const fields = Object.entries(one).map(([name, inner]) => [names.get(name) ?? name, inner]);
      one = Object.fromEntries(fields) as object;
      // Defined and not set: "__proto__" is a name like any other.
      Object.defineProperty(holder, key, { value: one });
    }
    for (const inner of Object.keys(one as object)) left.push([one as object, inner]);
  }
  return root.value;
}
