/**
 * What a person is shown of a generated tool before it is registered.
 * @module
 */

import { diffText } from "../kernel/diff.ts";
import { raised, rightsFor, type ToolLimits, type ToolTest } from "../kernel/generated.ts";
import { canonical, type Json } from "../kernel/json.ts";
import { CAGE_LIMITS, LIMITS } from "../kernel/limits.ts";
import type { ToolRecord } from "../kernel/state.ts";
import type { CallContext } from "./syscall.ts";

/** Those that JSON leaves as they are. */
const LINE_ENDS = /[\u0085\u2028\u2029]/g;

/** Everything needed to judge a version: what it may do, its tests, its source, what changed. */
export async function reviewText(
  at: CallContext,
  record: ToolRecord,
  limits: ToolLimits,
): Promise<string> {
  const source = await at.load(record.source) as string;
  const changed = await changes(at, record, source);
  const written = await at.load(record.tests) as unknown as readonly ToolTest[];
  // Nothing is waited for from here on, so that this is what an answer will be bound to.
  const rights = rightsFor(at.process, record).map((right) =>
    at.process.approved.includes(right) ? `  ${right}  (approved before)` : `  ${right}`
  );
  const tests = record.testCount === 0
    ? "none"
    : record.tested === null
    ? `${record.testCount}, not run`
    : `${record.tested.passed} passed, ${record.tested.failed} failed`;
  const usual = at.world.workshop?.limits ?? CAGE_LIMITS;
  const over = raised(limits, usual).map((name) => `${name} ${limits[name]}`);
  const lines = [
    `generated tool "${record.name}", version ${record.hash.slice(0, 12)}`,
    // Its author's words, which are not to be taken for lines of this text.
    `what it says it does: ${JSON.stringify(record.description).replace(LINE_ENDS, " ")}`,
    rights.length === 0 ? "it may use: nothing but its input" : "it may use, at most:",
    ...rights,
    `tests: ${tests}`,
    ...written.map(testLine),
    ...(over.length === 0 ? [] : [`limits above the usual: ${over.join(", ")}`]),
    ...changed,
    `source, ${source.split("\n").length} lines:`,
    source,
  ];
  return lines.join("\n");
}

/** A test with all that it gives, expects and answers, in one line; a long one says that it is. */
function testLine({ name, ...test }: ToolTest): string {
  const text = canonical(test as unknown as Json).replace(LINE_ENDS, " ");
  const most = LIMITS.toolTestShownCharsMax;
  const shown = text.length > most
    ? `${text.slice(0, most).toWellFormed()}… (${text.length} characters)`
    : text;
  return `  ${JSON.stringify(name).replace(LINE_ENDS, " ")}: ${shown}`;
}

/** What is different from the version that the process has now. */
async function changes(at: CallContext, record: ToolRecord, source: string): Promise<string[]> {
  const { generated } = at.process;
  const held = Object.hasOwn(generated, record.name) ? generated[record.name] : undefined;
  const before = held === undefined ? undefined : at.tree.state.tools[held.hash];
  if (before === undefined || before.hash === record.hash) return [];
  const was = await at.load(before.source) as string;
  const diff = diffText(was, source);
  const gone = before.rights.filter((right) => !record.rights.includes(right));
  const come = record.rights.filter((right) => !before.rights.includes(right));
  return [
    `changes from version ${before.hash.slice(0, 12)}, which it takes the place of:`,
    ...gone.map((right) => `- right ${right}`),
    ...come.map((right) => `+ right ${right}`),
    diff === "" ? "  the source is the same" : diff,
  ];
}
