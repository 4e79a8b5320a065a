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
  // Of what is written twice, one stands for both: objects with the same names have one shape.
  const stands = new Map<string, string>();
  let plain = "";
  let end = 0;
  for (const [at, name] of escaped) {
    let stand = stands.get(name);
    if (stand === undefined) {
      stand = `${mark}${names.size}`;
      stands.set(name, stand);
      names.set(stand, JSON.parse(name) as string);
    }
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
  let end = 0;
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', end)) {
    end = afterString(text, at);
    // What has no end is no JSON: nothing after it has to be looked at.
    if (end < 0) break;
    const string = text.slice(at, end);
    if (!string.includes("\\")) continue;
    COLON.lastIndex = end;
    if (COLON.test(text)) found.push([at, string]);
  }
  return found;
}

/** Where the string that begins at `from` is over; -1 when nowhere. Reads each character once. */
function afterString(text: string, from: number): number {
  for (let at = text.indexOf('"', from + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === 0x5c) slashes++;
    if (slashes % 2 === 0) return at + 1;
  }
  return -1;
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
  const root = [value];
  const left: (unknown[] | object)[] = [root];
  for (let holder = left.pop(); holder !== undefined; holder = left.pop()) {
    const keys = Array.isArray(holder) ? null : Object.keys(holder);
    const list: unknown[] = Array.isArray(holder) ? holder : Object.values(holder);
    for (let i = 0; i < list.length; i++) {
      const was: unknown = list[i];
      if (typeof was !== "object" || was === null) continue;
      const one = Array.isArray(was) ? was : named(was, names);
      left.push(one);
      if (one === was) continue;
      // Defined and not set: "__proto__" is a name like any other.
      if (keys === null) list[i] = one;
      else Object.defineProperty(holder, keys[i]!, { value: one });
    }
  }
  return root[0];
}

/** An object with its names as they were; the same one when they are. */
function named(one: object, names: ReadonlyMap<string, string>): object {
  const keys = Object.keys(one);
  if (!keys.some((name) => names.has(name))) return one;
  const fields = Object.entries(one).map(([name, inner]) => [names.get(name) ?? name, inner]);
  return Object.fromEntries(fields) as object;
}
