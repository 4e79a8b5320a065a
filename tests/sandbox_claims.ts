/**
 * What holds in every sandbox, as tables: what tools return, how they end, which limits they meet.
 * @module
 */

import type { CageEnd, PortAnswer } from "../broker/sandbox.ts";
import { answer, type RunOptions, START_MS, tool } from "./sandbox_fixture.ts";

const FAILED: PortAnswer = {
  ok: false,
  code: "EPERM",
  message: "Cannot do it: no",
  atMs: START_MS,
};

/** A claim, a body of a tool, and what it returns. */
export type Returns = readonly [claim: string, body: string, output: unknown, options?: RunOptions];

/** Everything that can be reached; what belongs to another realm has another root. */
const WALK = `
const roots = [Temporal, globalThis, import.meta, os, input, async () => {}, function* () {}, async function* () {}];
const keep = (job) => { try { roots.push(job()) } catch (e) { roots.push(e) } };
const reply = os.file.read("p");
roots.push(reply, await reply, await os.call("x", 1n).catch((e) => e), await os.call().catch((e) => e));
roots.push(await import("node:fs").catch((e) => e), await import.defer("node:fs").catch((e) => e));
keep(() => (function f() { f() })());
keep(() => (function f() { os.log("x"); f() })());
keep(() => Function("1"));
keep(() => new URL("x"));
keep(() => structuredClone(() => 1));
keep(() => os.signal.throwIfAborted());
roots.push([].values(), new Map().entries(), "".matchAll(/x/g), new AbortController(), new Date());
const seen = new Set(), foreign = [], todo = [...roots];
while (todo.length > 0) {
  const one = todo.pop();
  if ((typeof one !== "object" && typeof one !== "function") || one === null || seen.has(one)) continue;
  seen.add(one);
  let top = one;
  while (Object.getPrototypeOf(top) !== null) top = Object.getPrototypeOf(top);
  if (top !== Object.prototype && top !== one) foreign.push(String(one).slice(0, 80));
  todo.push(Object.getPrototypeOf(one));
  for (const key of Reflect.ownKeys(one)) {
    const field = Object.getOwnPropertyDescriptor(one, key);
    todo.push(field.value, field.get, field.set);
    if (field.get) keep(() => one[key]), todo.push(roots.at(-1));
  }
}
return [seen.size > 1000, foreign];`;

export const RETURNS: readonly Returns[] = [
  ["lets no object of another realm be reached", WALK, [true, []], { limits: { logBytes: 1e6 } }],
  [
    "lets no object of another realm be reached by code that does not name Temporal either",
    WALK.replace("Temporal, ", "").replace("1000", "700"),
    [true, []],
    { limits: { logBytes: 1e6 } },
  ],
  [
    "gives Temporal without its present to code that names it",
    "return [typeof Temporal.Now, String(Temporal.Instant.fromEpochMilliseconds(0))]",
    ["undefined", "1970-01-01T00:00:00Z"],
  ],
  [
    "gives no Temporal to code that does not name it, and no present on the way round",
    "const { constructor } = new Date(0).toTempo\\u0072alInstant();" +
    " return [typeof globalThis['Tempo' + 'ral'], constructor.name, typeof constructor.now]",
    ["undefined", "Instant", "undefined"],
  ],
  [
    "has done all that one answer set off before it hears the next",
    "const out = []; const go = async (n, jobs) => { await os.call('x'); for (let i = 0; i < jobs; i++) await 0; out.push(n) };" +
    " await Promise.all([go('a', 3000), go('b', 0)]); return out.join('')",
    "ab",
  ],
  ["gives the tool its input", "return input", { a: [1, "ü"] }, { input: { a: [1, "ü"] } }],
  ["returns null for undefined", "", null],
  ["leaves out fields that are undefined", "return { a: undefined, b: [undefined] }", {
    b: [null],
  }],
  ["returns a date as its text", "return new Date(5)", "1970-01-01T00:00:00.005Z"],
  ["writes a negative zero as zero", "return [-0]", [0]],
  ["gives `os` as a global too", "return os === globalThis.os", true],
  ["gives a call's reply", "return (await os.call('file.read', { path: 'p' })).args.path", "p"],
  ["takes arguments by position", "return (await os.file.write('p', 't')).args", {
    path: "p",
    text: "t",
  }],
  ["takes the rest by name", "return (await os.file.read('p', { bytesMax: 5 })).args", {
    path: "p",
    bytesMax: 5,
  }],
  ["takes all by name", "return (await os.file.read({ path: 'p' })).args", { path: "p" }],
  [
    "finds nouns of nouns",
    "return (await os.mcp.github.create_issue({ a: 1 })).name",
    [
      "mcp.github.create_issue",
    ][0],
  ],
  [
    "refuses more by position than there are",
    "return os.file.read('p', 'q').catch((e) => [e.code, e.message])",
    [
      "EINVAL",
      'Cannot call "file.read": 2 arguments, expected 1 at most by position, others by name',
    ],
  ],
  [
    "refuses arguments that are no JSON",
    "return os.call('x', { f() {} }).catch((e) => e.code)",
    [
      "EINVAL",
    ][0],
  ],
  [
    "gives a call's failure as an error of the tool's realm",
    "return os.file.read('p').catch((e) => [e instanceof Error, e.name, e.code, e.message])",
    [true, "SysError", "EPERM", "Cannot do it: no"],
    { answers: () => FAILED },
  ],
  [
    "lets calls be out together",
    "return (await Promise.all([1, 2].map((n) => os.call('x', { n })))).length",
    2,
  ],
  [
    "starts its clock where the run says",
    "return [Date.now(), new Date().toISOString(), os.now()]",
    [
      START_MS,
      "2020-01-01T00:00:00.000Z",
      START_MS,
    ],
  ],
  [
    "moves its clock by answers, and never back",
    "const at = []; for (let i = 0; i < 3; i++) { await os.call('x'); at.push(os.now()) } return at",
    [START_MS + 50, START_MS + 50, START_MS + 70],
    { answers: (_, n) => answer(null, START_MS + [0, 50, 20, 70][n]!) },
  ],
  [
    "formats the present by its clock",
    "return new Intl.DateTimeFormat('en-US', { timeZone: 'UTC' }).format()",
    [
      "1/1/2020",
    ][0],
  ],
  [
    "makes timers of waits",
    "const at = os.now(); await new Promise((go) => setTimeout(go, 30)); return os.now() - at",
    30,
  ],
  [
    "runs timers in the order in which they are due",
    "const out = []; const t = (n, ms) => setTimeout(() => out.push(n), ms); t('c', 20); t('a', 5);" +
    " clearTimeout(t('x', 6)); t('b', 10); t('d', 20); await new Promise((go) => setTimeout(go, 30)); return out.join('')",
    "abcd",
  ],
  [
    "repeats intervals until they are cleared",
    "let n = 0; await new Promise((go) => { const id = setInterval(() => ++n === 3 && (clearInterval(id), go()), 5) }); return n",
    3,
  ],
  [
    "clears and sets timers without end",
    "for (let i = 0; i < 500; i++) clearTimeout(setTimeout(() => {}, 1000)); return 1",
    1,
  ],
  [
    "is without what reaches outside",
    "return [typeof Deno, typeof process, typeof fetch, typeof Worker, typeof WebAssembly, typeof SharedArrayBuffer, typeof Atomics, typeof performance, typeof WeakRef, typeof postMessage, typeof self].filter((t) => t !== 'undefined')",
    [],
  ],
  [
    "has the usual furniture",
    "return [atob(btoa('hi')), structuredClone(new Map([[1, { a: 1 }]])).get(1).a, new TextDecoder().decode(new TextEncoder().encode('ü€😀')), new URL('../b?c=1#d', 'https://E.com:443/x/y').href, new AbortController().signal.aborted, os.signal.aborted]",
    [
      "hi",
      1,
      "ü€😀",
      "https://e.com/b?c=1#d",
      false,
      false,
    ],
  ],
  ["heeds no promise that nobody heeds", "Promise.reject(new Error('x')); await null; return 1", 1],
  [
    "survives a tool that spoils its intrinsics",
    "JSON.stringify = () => 'x'; JSON.parse = () => 0; Promise.prototype.then = () => 0; Reflect.apply = () => 0; Map.prototype.get = () => 0; Array.prototype[Symbol.iterator] = () => 0; return (await os.file.read('p')).args",
    {
      path: "p",
    },
  ],
  [
    "gives no frames of the stack",
    "try { Error.prepareStackTrace = (_, s) => s } catch {} try { globalThis.Error = { prepareStackTrace: (_, s) => s } } catch {} return typeof new RangeError('x').stack",
    "string",
  ],
  [
    "imports nothing",
    "const out = []; for (const name of ['node:fs', 'npm:zod', 'data:text/javascript,1']) try { await import(name); out.push(name) } catch (e) { if (!(e instanceof TypeError)) out.push('outer') } return out",
    [],
  ],
  [
    "makes no code of text",
    "try { return Function('return 1')() } catch (e) { return e instanceof EvalError }",
    true,
  ],
];

/** A claim, code, and how it ends. */
export type Ends = readonly [
  claim: string,
  code: string,
  end: Partial<CageEnd>,
  options?: RunOptions,
];

const threw = (message: string, code: string | null = null) =>
  ({ kind: "threw", message, code }) as Partial<CageEnd>;

export const ENDS: readonly Ends[] = [
  ["tells what was thrown", tool("throw new TypeError('no')"), threw("TypeError: no")],
  ["tells a thrown text", tool("throw 'no'"), threw("no")],
  [
    "tells nothing of what hides",
    tool("throw { get message() { throw 1 } }"),
    threw("It threw a value that cannot be shown"),
  ],
  [
    "keeps the code of a failed call",
    tool("await os.call('x')"),
    threw("Cannot do it: no", "EPERM"),
    {
      answers: () => FAILED,
    },
  ],
  [
    "believes no code that a tool invents",
    tool("throw Object.assign(new Error('x'), { name: 'SysError', code: 'EPERM' })"),
    threw("x"),
  ],
  [
    "tells what a timer threw",
    tool("setTimeout(() => { throw new Error('late') }, 1); await new Promise(() => {})"),
    threw("late"),
  ],
  ["tells of code that is none", "export default (", threw("SyntaxError: Unexpected end of input")],
  [
    "refuses imports",
    "import 'node:fs'; export default () => 1",
    threw("TypeError: Cannot import: a tool is one module"),
  ],
  [
    "refuses another default export",
    "export default 5",
    threw("Cannot run the tool: its default export is no function"),
  ],
  ["tells of a module that throws", "throw new Error('top'); export default () => 1", threw("top")],
  [
    "refuses a function in a result",
    tool("return { a: [() => 1] }"),
    threw(
      'Cannot return what the tool returned: at "a[0]" is a function, expected plain JSON data',
    ),
  ],
  [
    "refuses a cycle",
    tool("const a = {}; a.a = a; return a"),
    threw("Cannot return what the tool returned: it is cyclic, expected plain JSON data"),
  ],
  [
    "refuses a bigint",
    tool("return 1n"),
    threw("Cannot return what the tool returned: it is a bigint, expected plain JSON data"),
  ],
  [
    "refuses what is no JSON number",
    tool("return NaN"),
    threw("Cannot return what the tool returned: it is NaN, expected a finite number"),
  ],
  [
    "refuses a map",
    tool("return new Map()"),
    threw(
      "Cannot return what the tool returned: it is an instance of a class, expected plain JSON data",
    ),
  ],
  [
    "ends who waits for nothing",
    tool("await new Promise(() => {})"),
    threw("It waits for something that cannot come: no call or timer of it is out"),
  ],
  [
    "ends a module that waits for nothing",
    "await new Promise(() => {}); export default 1",
    { kind: "limit", limit: "wallMs" },
    { limits: { wallMs: 300 } },
  ],
  ["hands over the call that ends the step", tool("await os.process.exit({ code: 3 }); return 1"), {
    kind: "returned",
    output: 1,
    ends: { name: "process.exit", args: { code: 3 } },
  }],
  [
    "hands over the call that ends the step when a getter of the result makes it",
    tool("return { get a() { os.process.exit({ code: 4 }); return 1; } }"),
    { kind: "returned", output: { a: 1 }, ends: { name: "process.exit", args: { code: 4 } } },
  ],
  [
    "refuses to end the step twice",
    tool("await os.process.exit(); await os.call('process.exec', {})"),
    threw('Cannot call "process.exec": the step ends already', "ESTATE"),
  ],
];

/** A limit, its value, a body which needs just that much, and one that needs more. */
export type Reaches = readonly [
  limit: keyof NonNullable<RunOptions["limits"]>,
  value: number,
  within: string,
  beyond: string,
];

export const REACHES: readonly Reaches[] = [
  [
    "argumentBytes",
    100,
    "await os.call('x', { a: 'y'.repeat(92) })",
    "await os.call('x', { a: 'y'.repeat(93) })",
  ],
  ["resultBytes", 100, "return 'y'.repeat(98)", "return 'y'.repeat(99)"],
  ["logBytes", 100, "os.log('ü'.repeat(49))", "os.log('ü'.repeat(50))"],
  ["jsonDepth", 3, "return [[[1]]]", "return [[[[1]]]]"],
  [
    "callsOutstanding",
    3,
    "const c = () => os.call('x'); await Promise.all([c(), c(), c()])",
    "const c = () => os.call('x'); await Promise.all([c(), c(), c(), c()])",
  ],
  [
    "calls",
    3,
    "for (let i = 0; i < 3; i++) await os.call('x')",
    "for (let i = 0; i < 4; i++) await os.call('x').catch(() => {})",
  ],
  [
    "timers",
    3,
    "for (let i = 0; i < 3; i++) setTimeout(() => {}, 9)",
    "for (let i = 0; i < 4; i++) setTimeout(() => {}, 9)",
  ],
  ["replyBytes", 1_000, "await os.call('reply', { n: 998 })", "await os.call('reply', { n: 999 })"],
];
