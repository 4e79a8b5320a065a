/**
 * The Worker of a cage: makes realms, starts runs in them, and carries texts in and out.
 *
 * Invariants:
 *   W1. Nothing of the platform is left here once it has started, and the intrinsics are frozen.
 *   W2. One run at a time; what an earlier one still says goes nowhere.
 *   W3. What is heard has a turn of its own: all jobs of what was heard before have run by then. A
 *       tool sees its answers one by one, in every run at the same place; and who answers a ping
 *       has come to rest.
 *   W4. Only strings, and functions of the realm itself, go into a realm or come out of one.
 *   W5. What runs left behind is collected between runs, never within one; and nothing in a realm
 *       can ask for that. Where the collector is not ours to call, a Worker that holds much says so
 *       at rest: whoever asks takes any word but "pong" for its end.
 * @module
 */

import type { Send } from "./port.ts";
import type { RealmDoor } from "./realm.ts";

/** What is used of `node:vm`. */
export interface VmModule {
  createContext(what: unknown, options: object): object;
  readonly Script: new (
    text: string,
    options: object,
  ) => { runInContext(context: object): unknown };
  readonly SourceTextModule: new (text: string, options: object) => {
    link(linker: () => never): Promise<void>;
    evaluate(): Promise<void>;
    readonly namespace: object;
  };
  readonly constants: { readonly DONT_CONTEXTIFY: unknown };
}

/** What is used of `node:v8`. */
export interface V8Module {
  setFlagsFromString(flags: string): void;
  getHeapStatistics(): { readonly total_heap_size: number; readonly external_memory: number };
}

/** The engine's memory. */
export interface Memory {
  /** Bytes that it holds, whether they are in use or not. */
  held(): number;
  /** Gives back what is not in use. */
  collect(): void;
  /** Whether it holds so much, in use or not, that only its end gives enough back. */
  isFull(): boolean;
}

/** How a job gets a turn of its own. */
interface Later {
  readonly setImmediate: (job: () => void) => void;
  readonly setTimeout: (job: () => void, ms: number) => void;
}

/** A realm that is ready, and the context it lives in. */
interface Made {
  readonly context: object;
  readonly door: RealmDoor;
}

/** The run under way. */
interface Current {
  readonly nonce: string;
  readonly door: RealmDoor;
  seq: number;
  /** Whether the tool was called, or never will be. */
  hasBegun: boolean;
}

/**
 * Starts the Worker, which sends by `post`. It is first told the surface, as text, and a script
 * whose value makes a realm from that: neither is in its own code, for a long URL costs memory many
 * times. `memory` is collected now and then, when it has come to rest.
 */
export function cage(vm: VmModule, post: (text: string) => void, memory: Memory): void {
  const { createContext, Script, SourceTextModule } = vm;
  const bare = vm.constants.DONT_CONTEXTIFY;
  const { slice, startsWith, charCodeAt } = String.prototype;
  const { apply } = Reflect;
  const { parse } = JSON;
  const { setImmediate: soon, setTimeout: later } = globalThis as unknown as Later;
  const tidy = tidier(later, memory, () => current === null);
  let script: InstanceType<VmModule["Script"]> | null = null;
  let surface = "";
  let next: Made | null = null;
  let current: Current | null = null;

  const make = (): Made => {
    const codeGeneration = { strings: false, wasm: false };
    const context = createContext(bare, { codeGeneration });
    const open = script!.runInContext(context) as (surface: string) => RealmDoor;
    return { context, door: open(surface) };
  };
  const sender = (me: Current): Send => (records, isLast) => {
    if (current !== me) return;
    post(`["${me.nonce}",${me.seq},${records}]`);
    me.seq++;
    if (isLast) current = null;
  };
  const run = (nonce: string, text: string): void => {
    const { context, door } = next ?? make();
    next = null;
    const me: Current = { nonce, door, seq: 0, hasBegun: false };
    current = me;
    const code = door.open(sender(me), text);
    const compile = () => new SourceTextModule(code, { context, identifier: "tool" });
    void begin(me, compile, () => current);
  };
  // Frames begin with their kind and their nonce: `["run","0123456789abcdef",…`.
  const hear = (text: string): void => {
    const kind = apply(charCodeAt, text, [2]);
    const from = kind === 114 ? 8 : kind === 97 ? 11 : 9;
    const nonce = apply(slice, text, [from, from + 16]) as string;
    if (apply(startsWith, text, ['["boot",'])) {
      const boot = parse(text) as [string, string, string];
      surface = boot[1];
      script = new Script(boot[2], { filename: "os" });
      next = make();
      post('["boot","ready"]');
      tidy();
    } else if (kind === 114) run(nonce, text);
    else if (kind === 97) current?.nonce === nonce && current.door.answer(text);
    else {
      // Modules are linked in turns of their own: until then, being at rest means nothing.
      const isFull = current === null && memory.isFull();
      const says = isFull ? "full" : current === null || current.hasBegun ? "pong" : "busy";
      post(`["${nonce}","${says}"${apply(slice, text, [from + 17]) as string}`);
      if (current !== null || next !== null) return;
      next = make();
      tidy();
    }
  };
  seal(oneByOne(soon, hear));
}

/**
 * Told of each rest, the first when it has started, collects what starting or runs have left
 * behind: when nothing was heard for a moment, and at once where that moment does not come and much
 * is held. The engine would wait longer, for a realm is small beside what it may hold.
 */
export function tidier(
  later: (job: () => void, ms: number) => void,
  memory: Memory,
  isAtRest: () => boolean,
): () => void {
  const mib = 1_048_576;
  const quietMs = 50;
  // A tool that takes much each time would otherwise be given it anew each time.
  const restsMin = 4;
  let rests = 0;
  let collectedAt = 0;
  // Of what was held the last time, what had to be kept; at first it is not known.
  let kept = 6 * mib;
  const now = (): void => {
    collectedAt = rests;
    memory.collect();
    kept = memory.held();
  };
  return () => {
    const at = ++rests;
    const grown = memory.held() - kept;
    if (grown >= 4 * mib && at - collectedAt >= restsMin) return now();
    if (grown >= 1.5 * mib) later(() => at === rests && isAtRest() && now(), quietMs);
  };
}

/**
 * The engine's memory, with its collector from a context that is used for nothing else: no other
 * context of this process has one. The flags are the whole process's, so only who owns it may do
 * this.
 */
export function memoryOf(vm: VmModule, v8: V8Module): Memory {
  const codeGeneration = { strings: false, wasm: false };
  v8.setFlagsFromString("--expose-gc");
  const context = vm.createContext(vm.constants.DONT_CONTEXTIFY, { codeGeneration });
  const gc = new vm.Script("globalThis.gc", { filename: "gc" }).runInContext(context);
  v8.setFlagsFromString("--no-expose-gc");
  const { getHeapStatistics } = v8;
  return {
    held: () => {
      const { total_heap_size, external_memory } = getHeapStatistics();
      return total_heap_size + external_memory;
    },
    collect: () => typeof gc === "function" && gc(),
    // Whoever owns the process looks at all of it.
    isFull: () => false,
  };
}

/**
 * The memory of one Worker beside others, whose collector nobody here may call. What realms left
 * waits there for the engine, which collects nothing in a Worker that does nothing.
 */
export function memoryBeside(v8: V8Module): Memory {
  const most = 16 * 1_048_576;
  const { getHeapStatistics } = v8;
  const held = (): number => {
    const { total_heap_size, external_memory } = getHeapStatistics();
    return total_heap_size + external_memory;
  };
  const first = held();
  return { held: () => 0, collect: () => {}, isFull: () => held() - first > most };
}

/** Calls a tool, unless its run is no longer the one. */
export async function begin(
  me: Current,
  compile: () => InstanceType<VmModule["SourceTextModule"]>,
  current: () => Current | null,
): Promise<void> {
  try {
    const module = compile();
    await module.link(() => {
      throw new TypeError("Cannot import: a tool is one module");
    });
    await module.evaluate();
    me.hasBegun = true;
    if (current() === me) me.door.run(module.namespace);
  } catch (thrown) {
    me.hasBegun = true;
    if (current() === me) me.door.failed(thrown);
  }
}

/**
 * Tells texts one by one, each in a turn of its own (W3): the runtime hands over messages between
 * the jobs of a turn, as many as there are. What comes when nothing is under way is told at once,
 * and its turn is over before the next. Each is told from the foot of the stack: in what way it
 * came is not for a tool to see.
 */
export function oneByOne(
  soon: (job: () => void) => void,
  hear: (text: string) => void,
): (data: unknown) => void {
  const inbox: string[] = [];
  const { apply } = Reflect;
  const { then } = Promise.prototype;
  const now = Promise.resolve();
  let isAwake = false;
  const tell = (): void => hear(inbox.shift()!);
  const begin = (): void => {
    isAwake = true;
    soon(end);
    void apply(then, now, [tell]);
  };
  const end = (): void => {
    isAwake = false;
    if (inbox.length > 0) begin();
  };
  return (data) => {
    if (typeof data !== "string") return;
    inbox.push(data);
    if (!isAwake) begin();
  };
}

/**
 * Empties the global object of all that is not ECMAScript, and freezes the rest. The runtime looks
 * for one function there whenever something happens: messages, and promises that nobody heeds.
 */
export function seal(hear: (data: unknown) => void): void {
  const kept = bareGlobals();
  const typeOf = Object.getOwnPropertyDescriptor(Event.prototype, "type")!.get!;
  const { preventDefault } = Event.prototype;
  const { apply, ownKeys, getPrototypeOf, defineProperty, deleteProperty } = Reflect;
  const told = (event: Event): boolean => {
    if (apply(typeOf, event, []) === "message") hear((event as MessageEvent).data);
    else apply(preventDefault, event, []);
    return false;
  };
  // Without a listener the runtime takes the Worker for done.
  globalThis.addEventListener("message", told);
  for (let on: object | null = globalThis; on !== null; on = getPrototypeOf(on)) {
    if (on === Object.prototype) break;
    for (const key of ownKeys(on)) {
      if (typeof key === "string" && !kept.has(key)) deleteProperty(on, key);
    }
  }
  defineProperty(globalThis, "dispatchEvent", { value: told });
  freezeAll([
    globalThis,
    async () => {},
    function* () {},
    async function* () {},
    [][Symbol.iterator](),
    new Map().entries(),
    new Set().values(),
    ""[Symbol.iterator](),
    "".matchAll(/x/g),
  ]);
}

/**
 * What a global object has by ECMAScript alone, without shared memory and collectors; and
 * `queueMicrotask`, for which the runtime looks itself, and stops to hear when it is not there.
 */
export function bareGlobals(): Set<string> {
  return new Set(
    ("Object Function Array Number parseFloat parseInt Infinity NaN undefined Boolean String " +
      "Symbol Date Promise RegExp Error AggregateError EvalError RangeError ReferenceError " +
      "SyntaxError TypeError URIError globalThis JSON Math ArrayBuffer Uint8Array Int8Array " +
      "Uint16Array Int16Array Uint32Array Int32Array BigUint64Array BigInt64Array Float16Array " +
      "Uint8ClampedArray Float32Array Float64Array DataView Map BigInt Set Iterator WeakMap " +
      "WeakSet Proxy Reflect decodeURI decodeURIComponent encodeURI encodeURIComponent isFinite " +
      "isNaN queueMicrotask").split(" "),
  );
}

/** Freezes objects and all that can be reached from them; the global object only gets no more. */
export function freezeAll(from: readonly unknown[]): void {
  const seen = new Set<object>();
  const todo: unknown[] = [...from];
  while (todo.length > 0) {
    const one = todo.pop();
    if ((typeof one !== "object" && typeof one !== "function") || one === null) continue;
    if (seen.has(one)) continue;
    seen.add(one);
    todo.push(Reflect.getPrototypeOf(one));
    for (const key of Reflect.ownKeys(one)) {
      const field = Reflect.getOwnPropertyDescriptor(one, key)!;
      todo.push(field.value, field.get, field.set);
    }
  }
  for (const one of seen) if (one !== globalThis) Object.freeze(one);
  Object.preventExtensions(globalThis);
}
