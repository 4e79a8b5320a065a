/**
 * Testing a generated tool: in a cage, against a port that plays a script.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { Errno } from "../kernel/errors.ts";
import type { ToolTest, ToolTestCall } from "../kernel/generated.ts";
import { canonical, type Json, type JsonObject } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import { checkAgainst } from "../kernel/schema.ts";
import type { CageEnd, PortAnswer, Workshop } from "./sandbox.ts";

/** How a test came out. */
export interface TestResult {
  readonly name: string;
  readonly passed: boolean;
  /** Why it failed; empty when it passed. */
  readonly why: string;
  readonly logs: readonly string[];
}

/** What tests show a tool: the first minute of 2024, and chance that is always the same. */
const NOW_MS = 1_704_067_200_000;
const SEED = "000102030405060708090a0b0c0d0e0f";
const LOGS_SHOWN = 20;

/** A tool to be tested. */
export interface Tested {
  readonly name: string;
  readonly code: string;
  readonly inputSchema: JsonObject;
  readonly outputSchema: JsonObject | null;
}

/** Runs the tests of a tool one after another. Throws `ECANCELED` when the signal is aborted. */
export async function testTool(workshop: Workshop, tool: Tested, given: {
  readonly tests: readonly ToolTest[];
  readonly tenant: string;
  readonly signal: AbortSignal;
}): Promise<TestResult[]> {
  const results: TestResult[] = [];
  for (const test of given.tests) {
    const script = new Script(test.calls);
    const end = await workshop.sandbox.run({
      tenant: given.tenant,
      name: tool.name,
      code: tool.code,
      input: test.input,
      nowMs: NOW_MS,
      seed: SEED,
      limits: workshop.limits,
      signal: given.signal,
      call: (name, args) => Promise.resolve(script.answer(name, args)),
    });
    if (end.kind === "stopped") {
      throw new SysError("ECANCELED", `Cannot test tool "${tool.name}": stopped`);
    }
    const why = script.wrong ?? misfit(tool, test, end) ?? script.missing ?? "";
    const logs = end.logs.slice(-LOGS_SHOWN).map(short);
    results.push({ name: test.name, passed: why === "", why, logs });
  }
  return results;
}

/** Plays the calls of a test in order. */
class Script {
  readonly #calls: readonly ToolTestCall[];
  #at = 0;
  #nowMs = NOW_MS;
  /** The first call that was not the expected one. */
  wrong: string | null = null;

  constructor(calls: readonly ToolTestCall[]) {
    this.#calls = calls;
  }

  answer(name: string, args: Json): PortAnswer {
    const expected = this.#calls[this.#at];
    if (name === "clock.wait" && expected?.name !== name) return this.#waited(args);
    this.#at += 1;
    const fits = expected?.name === name &&
      (expected.args === undefined || canonical(expected.args) === canonical(args));
    if (!fits) {
      const wanted = expected === undefined
        ? "no more calls"
        : `${expected.name}(${shown(expected.args ?? "any")})`;
      const message = `call ${this.#at} was ${name}(${shown(args)}), expected ${wanted}`;
      this.wrong ??= message;
      return { ok: false, code: "EINVAL", message, atMs: this.#nowMs };
    }
    if (expected.error === undefined) {
      return { ok: true, reply: expected.reply ?? null, atMs: this.#nowMs };
    }
    const { code, message = `the test answers ${code}` } = expected.error;
    return { ok: false, code: code as Errno, message, atMs: this.#nowMs };
  }

  /** Timers need not be named: they pass at once, and the clock moves. */
  #waited(args: Json): PortAnswer {
    const { ms } = (args ?? {}) as { readonly ms?: Json };
    if (!Number.isSafeInteger(ms) || Number(ms) < 0 || Number(ms) > LIMITS.waitMsMax) {
      const message = `clock.wait(${shown(args)}), expected {"ms":0} to ${LIMITS.waitMsMax}`;
      this.wrong ??= message;
      return { ok: false, code: "EINVAL", message, atMs: this.#nowMs };
    }
    this.#nowMs += Number(ms);
    return { ok: true, reply: {}, atMs: this.#nowMs };
  }

  /** The first expected call that was never made. */
  get missing(): string | null {
    const next = this.#calls[this.#at];
    return next === undefined ? null : `call ${this.#at + 1} was never made, expected ${next.name}`;
  }
}

/** A value as it is told: many tests with long ones would be more than one answer holds. */
function shown(value: Json): string {
  return short(canonical(value));
}

function short(text: string): string {
  const most = LIMITS.toolTestShownCharsMax;
  if (text.length <= most) return text;
  return `${text.slice(0, most).toWellFormed()}… (${text.length} characters)`;
}

function misfit(tool: Tested, test: ToolTest, end: CageEnd): string | null {
  const input = checkAgainst(tool.inputSchema, test.input);
  if (input !== null) return `the input does not fit the schema: ${input}`;
  if (end.kind === "returned") {
    if (test.error !== undefined) return `it returned, expected ${test.error.code}`;
    const wrong = tool.outputSchema === null ? null : checkAgainst(tool.outputSchema, end.output);
    if (wrong !== null) return `the output does not fit the schema: ${wrong}`;
    if (test.output === undefined || canonical(test.output) === canonical(end.output)) return null;
    return `it returned ${shown(end.output)}, expected ${shown(test.output)}`;
  }
  const code = end.kind === "limit" ? "ELIMIT" : end.kind === "threw" ? end.code ?? "EIO" : "EIO";
  if (test.error?.code === code) return null;
  const how = end.kind === "limit"
    ? `it reached the limit ${end.limit}`
    : end.kind === "stopped"
    ? "it was stopped"
    : end.message;
  return `${code}: ${how}`;
}
