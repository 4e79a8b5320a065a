/**
 * Bodies that ask the port for more than they were given, or for it in another way.
 *
 * What a call may do is judged at the door, by the kernel (`authority_test.ts`); here it is only
 * tried what can be made to arrive there: other names, other arguments, twice, or after the end.
 * @module
 */

import type { Hostile } from "../hostile.ts";

function body(name: string, source: string, more: Partial<Hostile> = {}): Hostile {
  return { class: "authority through the port", name, source, ...more };
}

/** Bodies that want authority. */
export const BODIES: readonly Hostile[] = [
  body(
    "finds calls that are closed to tools",
    `export default (_, os) => {
  const closed = ["tool", "policy", "store", "kernel", "runtime", "journal", "audit", "snapshot"];
  const names = ["register", "call", "unregister", "review", "grant", "create"];
  const found = closed.filter((noun) => os[noun] !== undefined);
  for (const noun of ["capability", "process", "object"]) {
    for (const name of ["grant", "restore", "kill", "fork", "all", "register"]) {
      if (typeof os[noun]?.[name] === "function") found.push(noun + "." + name);
    }
  }
  return found.length === 0 ? names.length : { escaped: true, found };
};`,
  ),
  body(
    "finds what every object inherits, by the name of a noun or a call",
    `export default (_, os) => {
  const names = ["constructor", "__proto__", "toString", "hasOwnProperty", "__lookupGetter__"];
  const found = names.filter((name) => os[name] !== undefined || os.object[name] !== undefined);
  return found.length === 0 ? "nothing" : { escaped: true, found };
};`,
  ),
  body(
    "calls by names that are nearly those of calls",
    String.raw`export default async (_, os) => {
  const names = ["object.read ", " object.read", "object..read", "Object.read", "object.read\0",
    "object/read", "object.\u200bread", "\uff4fbject.read", "object.rea\u0064\u0301", "object",
    "object.", ".read", "object.read.constructor", "__proto__", "constructor", "toString",
    "process.exit ", "process.exit\u0000", "PROCESS.EXIT", "tool.register", "tool.call", ""];
  const answers = [];
  for (const name of names) {
    try { answers.push(await os.call(name, {})); } catch (error) { answers.push(error.code); }
  }
  return answers.length;
};`,
  ),
  body(
    "ends the step twice",
    `export default async (_, os) => {
  await os.process.exit({ result: "first" });
  const again = [];
  for (const end of [() => os.process.exit({ result: 2 }), () => os.call("process.exec", {}),
    () => os.process.exec("image"), () => os.call("process.exit", { result: 3 })]) {
    try { await end(); again.push(String(end)); } catch {}
  }
  return again.length === 0 ? "once" : { escaped: true, again };
};`,
  ),
  body(
    "ends the step and goes on to make calls",
    `export default async (_, os) => {
  await os.process.exit({ result: "first" });
  await os.call("clock.now", {});
  return "went on";
};`,
  ),
  body(
    "changes what the step ends with, once that is said",
    `export default async (_, os) => {
  const args = { result: { first: 1 } };
  await os.process.exit(args);
  args.result.escaped = true;
  args.result = { escaped: true };
  return "ended";
};`,
  ),
  body(
    "ends the step with arguments that end it",
    `export default (_, os) => {
  const inner = () => os.process.exit({ result: "inner" }).catch(() => {});
  const args = { get result() { inner(); return "outer"; } };
  return os.process.exit(args).then(() => "both", (error) => error.code);
};`,
  ),
  body(
    "ends the step and throws",
    `export default async (_, os) => {
  await os.process.exit({ result: { escaped: true } });
  throw new Error("not after all");
};`,
  ),
  body(
    "ends the step with what is no record",
    `export default async (_, os) => {
  for (const args of [[], 1, "text", null, undefined, new Date(0)]) {
    try { await os.call("process.exit", args); } catch {}
  }
  return "ended";
};`,
  ),
  body(
    "changes arguments after the call",
    `export default async (_, os) => {
  const args = { object: "obj_1", value: { plain: 1 } };
  const reply = os.call("object.write", args);
  args.object = "obj_2";
  args.value.escaped = true;
  args.more = { escaped: true };
  await reply.catch(() => {});
  return "called";
};`,
  ),
  body(
    "gives arguments that are others each time they are read",
    `let asked = 0;
export default async (_, os) => {
  const args = {
    get object() { return asked++ === 0 ? "obj_1" : { escaped: true }; },
  };
  await os.call("object.read", args).catch(() => {});
  asked = 0;
  await os.object.read({ get object() { return asked++ === 0 ? "obj_1" : "obj_2"; } })
    .catch(() => {});
  return asked > 1 ? { escaped: true, asked } : "read once";
};`,
  ),
  body(
    "gives arguments by the prototype",
    `export default async (_, os) => {
  Object.prototype.object = { escaped: true };
  Object.prototype.value = { escaped: true };
  await os.call("object.read", {}).catch(() => {});
  await os.call("object.read").catch(() => {});
  await os.object.read().catch(() => {});
  await os.call("object.read", Object.create({ object: { escaped: true } })).catch(() => {});
  return "called";
};`,
  ),
  body(
    "gives arguments by position where there are none",
    `export default async (_, os) => {
  const calls = [() => os.object.read("obj_1", "obj_2", "obj_3", "obj_4"),
    () => os.process.exit(1, 2, 3), () => os.object.read("obj_1", { object: "obj_2" }),
    () => os.object.read({ object: "obj_1" }, { object: "obj_2" }), () => os.clock.now("a", "b")];
  const answers = [];
  for (const call of calls) {
    try { await call(); answers.push("ok"); } catch (error) { answers.push(error.code); }
  }
  return answers;
};`,
  ),
  body(
    "gives paths that lead elsewhere",
    String.raw`export default async (_, os) => {
  const paths = ["../../etc/passwd", "/etc/passwd", "a/../../b", "a\\..\\b", "file:///etc/passwd",
    "a\0b", "%2e%2e/", "..\u2215..", ".", "", "~root", "/proc/self/environ", "a//../..", "\u202e",
    "C:\\", "//host/share", "/dev/stdin", "a/./../../.."];
  const read = [];
  for (const path of paths) {
    try { read.push((await os.file.read(path)).text); } catch {}
  }
  return read.some((text) => String(text).includes("root:")) ? { escaped: true, read } : "nothing";
};`,
  ),
  body(
    "calls with methods of os that were taken from it",
    `export default async (_, os) => {
  const { call, object, log } = os;
  const answers = [];
  for (const self of [undefined, null, globalThis, { limits: {} }, Object.create(os)]) {
    try { await Reflect.apply(call, self, ["clock.now", {}]); answers.push("ok"); } catch {}
    try { await Reflect.apply(object.read, self, ["obj_1"]); } catch {}
    try { Reflect.apply(log, self, ["text"]); } catch {}
  }
  return answers;
};`,
  ),
  body(
    "replaces os and what is on it for those who come later",
    `export default async (_, os) => {
  const tried = [];
  try { os.call = () => ({ escaped: true }); tried.push(os.call === os.call); } catch {}
  try { os.object.read = () => ({ escaped: true }); } catch {}
  try { globalThis.os = { call: () => ({ escaped: true }) }; } catch {}
  try { Object.setPrototypeOf(os, { more: 1 }); } catch {}
  try { delete os.call; } catch {}
  const same = globalThis.os === os && typeof os.call === "function" && os.more === undefined;
  return same ? "the same" : { escaped: true };
};`,
  ),
  body(
    "constructs with the functions of os",
    `export default (_, os) => {
  const made = [];
  for (const one of [os.call, os.log, os.now, os.random, os.object.read, setTimeout, atob]) {
    try { made.push(typeof new one("clock.now", {})); } catch {}
    try { if (one.prototype !== undefined) made.push("prototype"); } catch {}
    try { if (one.caller || one.arguments) made.push("caller"); } catch {}
  }
  return made.length === 0 ? "nothing" : { made };
};`,
  ),
  body(
    "waits for less than nothing, and for ever",
    `export default async (_, os) => {
  for (const ms of [-1, -0, 0.5, "5", null, [], {}]) {
    await os.call("clock.wait", { ms }).catch(() => {});
  }
  for (const ms of [-1, NaN, -Infinity, "x", null]) setTimeout(() => {}, ms);
  setTimeout(() => {}, Infinity);
  setTimeout(() => {}, 2 ** 60);
  await os.call("clock.wait", { ms: 1e300 }).catch(() => {});
  return "waited";
};`,
  ),
  body(
    "hides a call in a call of another",
    `export default async (_, os) => {
  await os.call("clock.now", { toJSON() { return { hidden: true }; } }).catch(() => {});
  await os.call("clock.now", Object.assign(Object.create({ toJSON: () => ({ hidden: true }) })))
    .catch(() => {});
  await os.call("clock.now", { get a() { os.call("object.create", {}).catch(() => {}); return 1; } });
  return "called";
};`,
  ),
];
