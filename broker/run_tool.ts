/**
 * Running a generated tool: in a cage, through a port, as often as it takes (G6).
 *
 * A run that was cut off, by a crash or because a call had to wait, is begun again from its top
 * with the same input, clock and chance; what it asks for again is answered from the log.
 * @module
 */

import { type Errno, ERRORS, SysError } from "../kernel/errors.ts";
import { parsePattern } from "../kernel/grammar.ts";
import type { Json } from "../kernel/json.ts";
import { checkAgainst } from "../kernel/schema.ts";
import type { HeldTool, ToolRecord } from "../kernel/state.ts";
import { FATAL, type Port, TAKEN_BACK } from "./port.ts";
import { never } from "./run.ts";
import type { CageEnd, CageLimits, Workshop } from "./sandbox.ts";
import type { CallContext } from "./syscall.ts";

/** What a generated tool answered, and what it wrote to its log. */
export interface ToolAnswer {
  readonly output: Json;
  readonly logs: readonly string[];
}

const SEED_BYTES = 16;

/** Runs a tool of the caller's table. Throws `SysError`; does not settle when the caller waits. */
export async function runTool(at: CallContext, given: {
  readonly workshop: Workshop;
  readonly held: HeldTool;
  readonly record: ToolRecord;
  readonly input: Json;
}): Promise<ToolAnswer> {
  const { held, record, input } = given;
  const { name } = record;
  const wrong = checkAgainst(record.inputSchema, input);
  if (wrong !== null) throw new SysError("EINVAL", `Cannot call tool "${name}": ${wrong}`);
  const code = await at.load(record.code) as string;
  const { ms } = await at.sys("clock.now", {}) as { readonly ms: number };
  const drawn = await at.sys("random.bytes", { length: SEED_BYTES }) as { base64: string };
  const port = at.port({
    name,
    hash: held.hash,
    rights: held.rights.map(parsePattern),
    stands: () => at.process.generated[name]?.hash === held.hash,
  });
  // It may have been taken back since this call began.
  port.recheck();
  try {
    const end = await given.workshop.sandbox.run({
      tenant: `${at.pid}/${held.hash}`,
      name,
      code,
      input,
      nowMs: ms,
      seed: Uint8Array.fromBase64(drawn.base64).toHex(),
      limits: { ...given.workshop.limits, ...defined(held.limits) },
      signal: port.signal,
      rested() {
        const missing = port.missing;
        if (missing !== null) port.fail(notMade(at, name, missing));
      },
      call: (call, args) => port.call(call, args),
    });
    if (port.broken !== null) throw port.broken;
    if (end.kind === "returned" || end.kind === "threw") mustBeWhole(at, name, port);
    const output = outputOf(record, end, port);
    if (output === undefined) return await never();
    if (end.kind === "returned" && end.ends !== null) await at.sys(end.ends.name, end.ends.args);
    return { output, logs: end.logs };
  } finally {
    port.close();
  }
}

/** Refuses with `EREPLAY` a run that ended without the calls which an earlier one made. */
function mustBeWhole(at: CallContext, name: string, port: Port): void {
  const key = port.unasked;
  if (key !== null) throw notMade(at, name, key);
}

function notMade({ process }: CallContext, name: string, key: string): SysError {
  const sentence = `Cannot go on with tool "${name}" in step ${process.step} of process ` +
    `"${process.pid}": call ${key} was "${process.journal[key]?.name}" before`;
  return new SysError("EREPLAY", `${sentence} and is not made now, expected the same calls`);
}

function defined(limits: { readonly [name: string]: number | undefined }): Partial<CageLimits> {
  return Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined));
}

/** What came out of a run; undefined when the run that called it is over. Throws its failure. */
function outputOf(record: ToolRecord, end: CageEnd, port: Port): Json | undefined {
  const what = `Cannot finish tool "${record.name}"`;
  const logs = end.logs.slice(-LOGS_SHOWN);
  const shown = logs.length === 0 ? {} : { logs };
  switch (end.kind) {
    case "returned": {
      const wrong = record.outputSchema === null
        ? null
        : checkAgainst(record.outputSchema, end.output);
      if (wrong === null) return end.output;
      throw new SysError("EIO", `${what}: its output does not fit its schema: ${wrong}`, shown);
    }
    case "threw":
      throw new SysError(known(end.code), `${what}: ${end.message}`, shown);
    case "limit":
      throw new SysError("ELIMIT", `${what}: it reached the limit ${end.limit}`, {
        limit: end.limit,
        ...shown,
      });
    case "died":
      throw new SysError("EIO", `${what}: ${end.message}`, shown);
    case "stopped":
      if (port.why === TAKEN_BACK) throw new SysError("ECANCELED", `${what}: ${TAKEN_BACK}`);
      return undefined;
  }
}

const LOGS_SHOWN = 20;

function known(code: string | null): Errno {
  // What breaks a step is for the port to say, not for a tool.
  if (code === null || FATAL.has(code) || !Object.hasOwn(ERRORS, code)) return "EIO";
  return code as Errno;
}
