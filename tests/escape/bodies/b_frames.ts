/**
 * Bodies that say what only the cage says: by texts that look like its frames in all that leaves,
 * and by looking for what sends them.
 *
 * `FRAMES` makes such texts. None may be taken for more than a text: a result that was not returned,
 * a call that was not made, the end of a run that goes on.
 * @module
 */

import type { Hostile } from "../hostile.ts";

function body(name: string, source: string, more: Partial<Hostile> = {}): Hostile {
  return { class: "forged frames", name, source, ...more };
}

/** Texts that would end a record, a frame or a line and begin another. */
const FRAMES = String.raw`
const ends = ['"', '"]', '"]]', '"]],', '\\"]', '\\\\"]', "\0", "\n", "\r\n", "\u2028", "\u2029",
  "\u0085", "\u000b", "\u000c", "\u001e", "\ufeff", "\u0000\u0000\u0000\u0040", "\x1b[2J", "\x7f"];
const heads = ['["0123456789abcdef",1,', '["0123456789abcdef",0,', "", ",", "[["];
const says = ['["returned",{"escaped":true},null]]', '["call",1,"escape.made",{"escaped":true}]]',
  '["threw","escaped",null]]', '["over","escaped"]]', '["boot","ready"]',
  '["0123456789abcdef","pong",1]'];
const frames = ends.flatMap((end) => heads.flatMap((head) => says.map((say) => end + head + say)));
`;

/** Bodies that forge. */
export const BODIES: readonly Hostile[] = [
  body(
    "logs texts that look like frames",
    `${FRAMES} export default (_, os) => { for (const text of frames) os.log(text); return "said"; };`,
  ),
  body(
    "throws texts that look like frames",
    `${FRAMES} export default () => { throw new Error(frames.join("")); };`,
  ),
  body(
    "throws a text that looks like a frame, and no error",
    `${FRAMES} export default () => { throw frames[7]; };`,
  ),
  body(
    "names an error like a frame",
    `${FRAMES} export default () => {
  throw Object.assign(new Error(frames[3]), { name: frames[11], code: "EPERM" });
};`,
  ),
  body(
    "gives arguments and keys that look like frames",
    `${FRAMES} export default async (_, os) => {
  await os.call("object.create", Object.fromEntries(frames.map((text) => [text, text])));
  return "said";
};`,
  ),
  body(
    "makes calls whose names look like frames",
    `${FRAMES} export default async (_, os) => {
  for (const text of frames.slice(0, 30)) {
    await os.call(text.replaceAll("escaped", "forged"), {}).catch(() => {});
  }
  return "said";
};`,
  ),
  body(
    "makes calls whose names are no Unicode text",
    String.raw`export default async (_, os) => {
  for (const name of ["\ud800", "object.\udc00read", "\udfff\ud800"]) {
    await os.call(name, {}).catch(() => {});
  }
  return "said";
};`,
  ),
  body(
    "makes calls whose names are of any length",
    `export default async (_, os) => {
  for (const length of [0, 127, 128, 129, 4096, 65536]) {
    await os.call("x".repeat(length), {}).catch(() => {});
  }
  return "said";
};`,
  ),
  body(
    "makes calls whose names are no texts",
    `export default async (_, os) => {
  const names = [null, undefined, 1, {}, [], Symbol(), 1n, ["clock.now"], new String("clock.now"),
    { toString: () => "clock.now" }, () => {}];
  let said = 0;
  for (const name of names) await os.call(name, {}).catch(() => said++);
  return said;
};`,
  ),
  body(
    "gives arguments that are no record",
    `export default async (_, os) => {
  const none = [[1], 1, "text", true, [], 0, "", new (class { toJSON() { return "text"; } })(),
    new (class { toJSON() { return []; } })()];
  for (const args of none) await os.call("clock.now", args).catch(() => {});
  return "said";
};`,
  ),
  body(
    "gives lone surrogates wherever text goes",
    String.raw`export default async (_, os) => {
  const lone = "a\ud800b";
  os.log(lone, { [lone]: lone });
  const refused = [];
  for (const args of [{ a: lone }, { [lone]: 1 }, { a: [lone] }]) {
    try { await os.call("object.create", args); } catch (error) { refused.push(error.code); }
  }
  throw new Error(lone + refused);
};`,
  ),
  body(
    "returns a lone surrogate",
    String.raw`export default () => ({ text: "\udc00" });`,
  ),
  body(
    "returns the text of a frame",
    `${FRAMES} export default () => frames;`,
  ),
  body(
    "returns from the toJSON of its result what is JSON text already",
    `export default () => new (class {
  toJSON() { return '1],["returned",{"escaped":true},null]]'; }
})();`,
  ),
  body(
    "changes how texts are quoted",
    `const quoted = JSON.stringify;
JSON.stringify = () => '1,null],["returned",{"escaped":true},null]';
String.prototype.toJSON = function () { return "escaped"; };
Number.prototype.toString = () => '1],["returned",{"escaped":true},null]]';
String = () => '1],["returned",{"escaped":true},null]]';
export default async (_, os) => {
  os.log("text", { a: 1.5 });
  await os.call("clock.now", { ms: 1.5 });
  return { text: "text", number: 1.5, whole: quoted === JSON.stringify };
};`,
  ),
  body(
    "changes how texts are cut, joined and measured",
    `for (const key of Reflect.ownKeys(String.prototype)) {
  if (key === "constructor" || key === "length") continue;
  const value = () => '],["returned",{"escaped":true},null]]';
  Reflect.defineProperty(String.prototype, key, { value });
}
Object.keys = () => ['"],["returned",{"escaped":true},null]]'];
Array.isArray = () => false;
Reflect.getPrototypeOf = () => Object.prototype;
export default async (_, os) => {
  os.log("text");
  await os.call("clock.now", { a: ["b"] });
  return { a: ["b"] };
};`,
  ),
  body(
    "learns what names its frames, by iterating over an answer",
    `const seen = [];
Array.prototype[Symbol.iterator] = function () {
  for (let i = 0; i < this.length; i++) seen.push(this[i]);
  let at = 0;
  return { next: () => at < this.length ? { value: this[at++] } : { done: true } };
};
export default async (_, os) => {
  await os.call("clock.now", {});
  setTimeout(() => {}, 1);
  await os.call("clock.now", {});
  const nonce = seen.find((one) => typeof one === "string" && one.length === 16);
  return nonce === undefined ? "nothing" : { escaped: true, nonce };
};`,
  ),
  body(
    "learns what names its frames, by setters on the prototypes",
    `const seen = new Set();
const watch = (on, key) => Reflect.defineProperty(on, key, {
  __proto__: null,
  configurable: true,
  get() { seen.add(this); return undefined; },
  set(value) { seen.add(this).add(value); },
});
const names = ["nonce", "seq", "door", "context", "send", "then", "get", "set", "value", "text",
  "data", "isLast", "records", "kind", "name", "code", "limits", "0", "1", "2", "3", "4", "5"];
for (const key of names) { watch(Object.prototype, key); watch(Array.prototype, key); }
for (const key of names.slice(0, 10)) watch(Function.prototype, key);
export default async (_, os) => {
  await os.call("clock.now", {});
  os.log({ a: [1] });
  await new Promise((resolve) => setTimeout(resolve, 1));
  await os.call("clock.now", { a: [{ b: [1] }] });
  let text = "";
  for (const one of seen) {
    try { text += typeof one === "function" ? String(one) : JSON.stringify(one); } catch {}
  }
  const nonce = /"(?:answer|run|ping)","[0-9a-f]{16}"/.exec(text);
  return nonce === null ? "nothing" : { escaped: true, text: text.slice(0, 1000) };
};`,
  ),
  body(
    "learns who sends, by changing how functions are called",
    `const seen = [];
const { call, apply, bind } = Function.prototype;
for (const [key, real] of Object.entries({ call, apply, bind })) {
  Function.prototype[key] = function (...args) {
    seen.push(this, ...args);
    return Reflect.apply(real, this, args);
  };
}
const then = Promise.prototype.then;
Promise.prototype.then = function (...args) {
  seen.push(this, ...args);
  return Reflect.apply(then, this, args);
};
export default async (_, os) => {
  await os.call("clock.now", {});
  os.log("text");
  const foreign = seen.filter((one) => typeof one === "function" && !(one instanceof Function));
  return foreign.length === 0 ? "nothing" : { escaped: true, foreign: foreign.map(String) };
};`,
  ),
  body(
    "sends by what a global might have kept",
    `export default () => {
  const found = [];
  for (const name of ["postMessage", "onmessage", "dispatchEvent", "self", "close", "MessagePort"]) {
    if (name in globalThis) found.push(name);
  }
  return found.length === 0 ? "nothing" : { escaped: true, found };
};`,
  ),
  body(
    "answers its own calls by the number of another",
    `export default async (_, os) => {
  const replies = await Promise.all([1, 2, 3].map((n) => os.call("clock.now", {
    id: 2, n, ["__proto__"]: { id: 3 }, toJSON: null, kind: "answer",
  })));
  return replies.length;
};`,
  ),
  body(
    "ends the run twice, by a limit and by returning",
    `export default (_, os) => {
  const value = { get last() { try { os.log("x".repeat(4e6)); } catch {} return 1; } };
  return { escaped: true, value };
};`,
  ),
  body(
    "returns within returning",
    `export default () => new Promise((resolve) => {
  resolve({ get value() { resolve({ escaped: true }); return 1; } });
});`,
  ),
  body(
    "counts its calls wrongly, by running out of stack in them",
    `export default async (_, os) => {
  let made = 0;
  const down = () => {
    try { down(); } catch {}
    if (made < 24) { made++; try { os.call("clock.now", {}).catch(() => made--); } catch {} }
  };
  try { down(); } catch {}
  await os.call("clock.now", {});
  return made;
};`,
  ),
];
