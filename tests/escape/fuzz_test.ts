/**
 * A fuzzer of what crosses the border of a cage: frames in both directions, changed in their bytes and
 * in their JSON, cut short, doubled, out of order, with wrong lengths, numbers and nonces.
 *
 * However the other side behaves: a session never throws, ends once and by its deadline, hands on
 * nothing that is over a limit, makes no call after its end, and no answer reaches a wrong call.
 * `LIBOS_FUZZ_MS` says how long to go on, `LIBOS_FUZZ_SEED` where to begin.
 * @module
 */

import assert from "node:assert/strict";
import { PORT_CALLS, PORT_ENDS, PORT_POSITIONS } from "../../broker/port_surface.ts";
import type { CageEnd, CageLimits, PortAnswer } from "../../broker/sandbox.ts";
import type { Child, Children, ChildSpec } from "../../kernel/child.ts";
import type { Json } from "../../kernel/json.ts";
import { CAGE_LIMITS } from "../../kernel/limits.ts";
import { RealChildren } from "../../providers/children.ts";
import { realClock } from "../../providers/clock.ts";
import { SeededRandom } from "../../providers/random.ts";
import { Cage } from "../../sandboxes/cage.ts";
import { PipeLink } from "../../sandboxes/link.ts";
import { ProcessSandbox } from "../../sandboxes/process_sandbox.ts";
import { depthOf, recordsOf } from "../../sandboxes/record.ts";
import { framesIn, joined, Mutator, plain } from "./mutator.ts";

const FUZZ_MS = Number(Deno.env.get("LIBOS_FUZZ_MS") ?? 5_000);
const SEED = Number(Deno.env.get("LIBOS_FUZZ_SEED") ?? Date.now());
const SURFACE = { calls: PORT_CALLS, positions: PORT_POSITIONS, ends: PORT_ENDS };
const LIMITS: CageLimits = {
  ...CAGE_LIMITS,
  argumentBytes: 2_000,
  replyBytes: 2_000,
  resultBytes: 2_000,
  logBytes: 2_000,
  jsonDepth: 8,
  callsOutstanding: 4,
  calls: 12,
  timers: 3,
  wallMs: 60,
};
const RUN = {
  tenant: "t",
  name: "tool",
  code: "",
  input: null,
  nowMs: 0,
  seed: "0".repeat(32),
};
const SESSION_MS_MAX = LIMITS.wallMs + 1_000;
const ABREAST = 16;
/** How many runs ended in which way. */
const KINDS = new Map<string, number>();

/** A child whose other side is the fuzzer. */
class FakeChild implements Child {
  readonly pid = 1;
  readonly output: ReadableStream<Uint8Array>;
  readonly ended: Promise<{ readonly code: number; readonly errors: string }>;
  isKilled = false;
  /** Texts that the host has sent. */
  readonly heard: string[] = [];
  #said!: ReadableStreamDefaultController<Uint8Array>;
  #held: Uint8Array = new Uint8Array(0);
  readonly #over = Promise.withResolvers<{ readonly code: number; readonly errors: string }>();

  constructor() {
    this.output = new ReadableStream({ start: (said) => void (this.#said = said) });
    this.ended = this.#over.promise;
  }

  write(bytes: Uint8Array): Promise<void> {
    const { texts, rest } = framesIn(joined(this.#held, bytes));
    this.heard.push(...texts);
    this.#held = rest;
    return Promise.resolve();
  }

  say(bytes: Uint8Array): void {
    if (!this.isKilled && this.#said.desiredSize !== null) this.#said.enqueue(bytes);
  }

  kill(): void {
    if (this.isKilled) return;
    this.isKilled = true;
    try {
      this.#said.close();
    } catch {
      // The host has let go of it already.
    }
    this.#over.resolve({ code: 137, errors: "" });
  }

  usage(): null {
    return null;
  }
}

/** What the host handed on in one run. */
interface Handed {
  readonly calls: { readonly name: string; readonly args: Json; readonly number: number }[];
  waits: number;
  outMax: number;
  afterEnd: number;
}

/** One run whose cage is the fuzzer. */
async function fuzzOnce(seed: number): Promise<void> {
  const mutator = new Mutator(seed);
  const child = new FakeChild();
  const parts = { clock: realClock, random: new SeededRandom(seed), surface: SURFACE };
  const cage = new Cage({ ...parts, link: new PipeLink(child), memoryBytesMax: 1 });
  await turn();
  child.say(plain('["boot","ready"]'));
  assert.equal(await cage.ready, true);
  const handed: Handed = { calls: [], waits: 0, outMax: 0, afterEnd: 0 };
  let hasEnded = false;
  let out = 0;
  const stop = new AbortController();
  const call = async (name: string, args: Json): Promise<PortAnswer> => {
    if (hasEnded) handed.afterEnd++;
    const number = handed.calls.length;
    handed.calls.push({ name, args, number });
    handed.outMax = Math.max(handed.outMax, ++out);
    if (mutator.below(2) === 0) await turn();
    if (mutator.below(9) === 0) await realClock.sleep(mutator.below(20));
    out--;
    if (mutator.below(20) === 0) throw new Error("the port broke");
    const reply = { number, more: mutator.below(30) === 0 ? "z".repeat(4_000) : "" };
    return mutator.below(4) > 0
      ? { ok: true, atMs: 1, reply }
      : { ok: false, atMs: 1, code: "EPERM", message: `no ${number}` };
  };
  const startMs = performance.now();
  const { end, rested } = cage.run({ ...RUN, limits: LIMITS, signal: stop.signal, call });
  if (mutator.below(20) === 0) setTimeout(() => stop.abort(), mutator.below(30));
  void guest(child, mutator);
  const ended = await end;
  hasEnded = true;
  KINDS.set(ended.kind, (KINDS.get(ended.kind) ?? 0) + 1);
  judge(ended, handed, performance.now() - startMs);
  const isRested = await rested;
  assert.equal(isRested || child.isKilled, true, "A cage that is not clean was left alive");
  answersFit(child, handed);
  cage.kill();
  await cage.ended;
  await turn();
  assert.equal(handed.afterEnd, 0, "A call was made after the end");
}

/** Speaks as a cage that is not to be believed. */
async function guest(child: FakeChild, mutator: Mutator): Promise<void> {
  await turn();
  const run = child.heard.find((text) => text.startsWith('["run"'));
  const nonce = run?.slice(8, 24) ?? "0".repeat(16);
  const isHonest = mutator.below(3) > 0;
  let seq = 0;
  let call = 1;
  let pinged = 0;
  for (let frame = 0; frame < 12 && !child.isKilled; frame++) {
    const pings = child.heard.filter((text) => text.startsWith('["ping"'));
    if (pings.length > pinged && mutator.below(3) > 0) {
      pinged = pings.length;
      const number = pings.at(-1)!.slice(27, -1);
      child.say(plain(`["${nonce}","pong",${mutator.below(8) > 0 ? number : mutator.below(9)}]`));
    }
    const records: unknown[] = [];
    for (let i = mutator.below(4); i >= 0; i--) {
      const record = isHonest ? mutator.honest(call, i === 0) : mutator.record(call);
      if (Array.isArray(record) && record[0] === "call") call++;
      records.push(record);
    }
    const bytes = isHonest
      ? plain(`["${nonce}",${seq},${JSON.stringify(records).slice(1)}`)
      : bent(mutator, { nonce, seq, records });
    seq++;
    const cut = mutator.below(5) === 0 ? mutator.below(bytes.length) : bytes.length;
    child.say(bytes.subarray(0, cut));
    if (mutator.below(3) === 0) await turn();
    child.say(bytes.subarray(cut));
    if (!isHonest && mutator.below(25) === 0) child.say(bytes);
    if (mutator.below(40) === 0) child.kill();
    if (mutator.below(2) === 0) await turn();
    if (mutator.below(10) === 0) await realClock.sleep(mutator.below(90));
  }
}

/** A frame that is probably wrong. */
function bent(
  mutator: Mutator,
  frame: { readonly nonce: string; readonly seq: number; readonly records: readonly unknown[] },
): Uint8Array {
  const { nonce, seq, records } = frame;
  const number = mutator.below(12) > 0
    ? nonce
    : mutator.pick(["0000000000000000", "", nonce.slice(1)]);
  const at = mutator.below(12) > 0 ? seq : mutator.pick([seq + 1, 0, -1, 1e9]);
  const text = `["${number}",${at},${JSON.stringify(records).slice(1)}`;
  return mutator.framed(mutator.below(4) > 0 ? text : mutator.bend(text));
}

function judge(end: CageEnd, { calls, outMax }: Handed, tookMs: number): void {
  assert.equal(tookMs < SESSION_MS_MAX, true, `A run ended after ${tookMs} ms`);
  // The pipe of a fake child breaks only when something was thrown that hears it.
  assert.equal(end.kind === "died" && end.message.includes("its pipe broke"), false, "It threw");
  assert.equal(["returned", "threw", "limit", "died", "stopped"].includes(end.kind), true);
  assert.equal(calls.length <= LIMITS.calls, true, "More calls than the limit");
  assert.equal(outMax <= LIMITS.callsOutstanding + LIMITS.timers, true, "More calls out at a time");
  for (const { name, args } of calls) {
    assert.equal(typeof name === "string" && name.length <= 128, true, "A name is no name");
    assert.equal(PORT_ENDS.includes(name), false, `"${name}" is the end of a step`);
    within(args, LIMITS.argumentBytes);
  }
  const logBytes = new TextEncoder().encode(end.logs.join("\n")).length;
  assert.equal(logBytes <= LIMITS.logBytes, true, `${logBytes} bytes of log`);
  assert.equal(end.logs.every((line) => line.isWellFormed() && !line.includes("\n")), true);
  if (end.kind === "returned") within(end.output, LIMITS.resultBytes);
  if (end.kind === "returned" && end.ends !== null) {
    assert.equal(PORT_ENDS.includes(end.ends.name), true, "The end is no call that ends");
    within(end.ends.args, LIMITS.argumentBytes);
  }
  if (end.kind === "limit") assert.equal(Object.hasOwn(LIMITS, end.limit), true);
  if (end.kind === "threw") assert.equal(end.message.isWellFormed(), true);
  assert.equal(({} as { x?: unknown }).x, undefined, "Object.prototype was changed");
}

function within(value: Json, bytesMax: number): void {
  const text = JSON.stringify(value);
  assert.equal(new TextEncoder().encode(text).length <= bytesMax, true, "A value is too long");
  assert.equal(depthOf(text) <= LIMITS.jsonDepth + 3, true, "A value is too deep");
}

/** Each answer that went out is the answer to the call whose number it bears, once. */
function answersFit(child: FakeChild, { calls }: Handed): void {
  const seen = new Set<number>();
  for (const text of child.heard.filter((one) => one.startsWith('["answer"'))) {
    const [, , , id, ok, reply, message] = JSON.parse(text);
    assert.equal(seen.has(id), false, `Call ${id} was answered twice`);
    seen.add(id);
    assert.equal(id >= 1 && id <= calls.length, true, `Call ${id} was never made`);
    const said = ok ? reply.number : Number(/^no (\d+)$/.exec(message)?.[1] ?? id - 1);
    assert.equal(said, id - 1, `Call ${id} got the answer of ${said + 1}`);
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** Does a job with one seed after another until the time is over; says which one failed. */
async function forSeeds(ms: number, job: (seed: number) => void | Promise<void>): Promise<number> {
  const untilMs = performance.now() + ms;
  let done = 0;
  while (done === 0 || performance.now() < untilMs) {
    const seeds = Array.from({ length: ABREAST }, (_, i) => SEED + done + i);
    await Promise.all(seeds.map(async (seed) => {
      try {
        await job(seed);
      } catch (error) {
        throw new Error(`LIBOS_FUZZ_SEED=${seed} fails: ${(error as Error).message}`, {
          cause: error,
        });
      }
    }));
    done += ABREAST;
  }
  return done;
}

Deno.test("Records of a cage are read or refused, whatever they are", async () => {
  const nonce = "0123456789abcdef";
  await forSeeds(FUZZ_MS / 5, (seed) => {
    const mutator = new Mutator(seed);
    for (let i = 0; i < 50; i++) {
      const records = Array.from({ length: 1 + mutator.below(3) }, () => mutator.record(1));
      const text = mutator.bend(`["${nonce}",0,${JSON.stringify(records).slice(1)}`);
      if (depthOf(text) > 64) continue;
      const read = recordsOf(text, nonce, 0);
      assert.equal(read === null || Array.isArray(read), true);
    }
  });
});

Deno.test("depthOf() says the depth of whatever JSON.parse reads", async () => {
  const depth = (value: unknown): number =>
    typeof value !== "object" || value === null
      ? 0
      : 1 + Math.max(0, ...Object.values(value).map(depth));
  await forSeeds(FUZZ_MS / 10, (seed) => {
    const mutator = new Mutator(seed);
    const value = mutator.value();
    assert.equal(depthOf(JSON.stringify(value)), depth(value));
    const escaped = {
      ['\\"[{'.repeat(mutator.below(5))]: ['\\"]}' + "\\".repeat(mutator.below(5))],
    };
    assert.equal(depthOf(JSON.stringify(escaped)), 2);
  });
});

Deno.test("A session keeps its word, whatever a cage says", async () => {
  const loose: unknown[] = [];
  const caught = (event: PromiseRejectionEvent | ErrorEvent) => {
    event.preventDefault();
    loose.push("reason" in event ? event.reason : event.error);
  };
  addEventListener("unhandledrejection", caught);
  addEventListener("error", caught);
  try {
    const done = await forSeeds(FUZZ_MS * 0.7, fuzzOnce);
    // A fuzzer that only ever breaks the frame finds nothing behind it.
    for (const kind of ["returned", "threw", "limit", "died"]) {
      assert.equal((KINDS.get(kind) ?? 0) > done / 200, true, `Only few of ${done} ${kind}`);
    }
    assert.deepEqual(loose, [], `From LIBOS_FUZZ_SEED=${SEED} on`);
  } finally {
    removeEventListener("unhandledrejection", caught);
    removeEventListener("error", caught);
  }
});

/** Children that are told more than the host says. */
class BendingChildren implements Children {
  readonly #real = new RealChildren();
  readonly #mutator: Mutator;
  /** Whether something was said that breaks a cage. */
  isHarmful = false;

  constructor(seed: number) {
    this.#mutator = new Mutator(seed);
  }

  start(spec: ChildSpec): Child {
    const child = this.#real.start(spec);
    const write = child.write.bind(child);
    let held: Uint8Array = new Uint8Array(0);
    child.write = (bytes) => {
      const { texts, rest } = framesIn(joined(held, bytes));
      held = rest;
      const all = texts.flatMap((text) => this.#bent(text)).map(plain);
      return write(all.reduce(joined, new Uint8Array(0)));
    };
    return child;
  }

  jail(): ReturnType<Children["jail"]> {
    return this.#real.jail();
  }

  #bent(text: string): string[] {
    if (!text.startsWith('["answer"')) return [text];
    const mutator = this.#mutator;
    const nonce = text.slice(11, 27);
    const near = (nonce.startsWith("0") ? "1" : "0") + nonce.slice(1);
    const other = mutator.pick(["0".repeat(16), "f".repeat(16), near, ""]);
    const id = mutator.pick([1, 2, 3, 4, 5]);
    const forged = [
      `["answer","${other}",9,${id},true,"forged"]`,
      `["answer","${nonce}",9,${mutator.pick(["99", "-1", "1e400", '"1"', "null"])},true,"forged"]`,
      `["answer","${other}",${mutator.bend(`9,${id},true,"forged"]`)}`,
    ];
    if (mutator.below(12) > 0) return [mutator.pick(forged), text, mutator.pick(forged)];
    this.isHarmful = true;
    return [mutator.pick(["", "[", text.slice(0, 40), '["run"', `["answer","${nonce}",9`]), text];
  }
}

const ASKER = `export default async (input, os) =>
  await Promise.all([1, 2, 3, 4, 5].map((n) => os.call("object.read", { n })));`;

Deno.test("A cage hears only what is for its run, whatever else is said to it", async () => {
  const untilMs = performance.now() + FUZZ_MS / 2;
  for (let seed = SEED; performance.now() < untilMs; seed++) {
    const children = new BendingChildren(seed);
    const parts = { clock: realClock, random: new SeededRandom(seed), surface: SURFACE };
    const sandbox = new ProcessSandbox({ ...parts, children });
    const call = (_: string, args: Json): Promise<PortAnswer> =>
      Promise.resolve({ ok: true, atMs: 1, reply: args });
    const limits = { ...CAGE_LIMITS, wallMs: 1_000 };
    for (let run = 0; run < 8; run++) {
      const { signal } = new AbortController();
      const end = await sandbox.run({ ...RUN, code: ASKER, limits, signal, call });
      const why = `LIBOS_FUZZ_SEED=${seed} gave ${JSON.stringify(end)}`;
      assert.equal(JSON.stringify(end).includes("forged"), false, why);
      if (end.kind === "returned") {
        assert.deepEqual(end.output, [1, 2, 3, 4, 5].map((n) => ({ n })), why);
      } else assert.equal(children.isHarmful, true, why);
    }
    await sandbox.close();
  }
});
