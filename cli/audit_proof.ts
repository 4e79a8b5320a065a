/**
 * `audit prove | export`: what is handed to others.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { type Pid, type TreeId, treeOf } from "../kernel/ids.ts";
import { parseJson } from "../kernel/parse.ts";
import type { Store } from "../kernel/store.ts";
import { prove, proveGrowth } from "../runtime/audit.ts";
import { exported, type ExportFormat } from "../runtime/auditing.ts";
import { auditing } from "./audit_parts.ts";
import { storyOf } from "../runtime/call_story.ts";
import type { Context } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { safeJson } from "./output.ts";
import { progressing } from "./progress.ts";
import { findTree } from "./store.ts";
import { countOf } from "./words.ts";

const FORMATS: readonly string[] = ["jsonl", "cloudevents"] satisfies ExportFormat[];

/** Records between two words of progress. */
const RECORDS_A_WORD = 1_000;

/** Prints a proof of a line, or that the history only grew; JSON in every format. */
export async function proveLine(at: Context, word: string): Promise<number> {
  const since = countOf(at.flags.text("since"), "leaves");
  if ((word === "") === (since === undefined)) {
    throw new UsageError('Cannot prove nothing: expected a line like "t_1#12", or --since SIZE');
  }
  const proof = await auditing(at, "read", async (parts) => {
    if (since !== undefined) return await proveGrowth(parts.audit, since);
    const { tree, seq } = await lineOf(at, parts.store, word);
    try {
      return await prove(parts, tree, seq);
    } catch (error) {
      const isUnsealed = error instanceof SysError && error.code === "ENOENT";
      if (!isUnsealed) throw error;
      throw new SysError("ENOENT", `${error.message}; libos audit seal seals what is there`);
    }
  });
  at.io.out(`${safeJson(proof, at.format === "jsonl" ? undefined : 2)}\n`);
  return EXIT.ok;
}

/** The line that a word names: `t_1#12`, `12`, or the call `p_1#2.3`. */
async function lineOf(
  at: Context,
  store: Store,
  word: string,
): Promise<{ readonly tree: TreeId; readonly seq: number }> {
  const line = /^(?:(t_\d+)?#)?(\d+)$/.exec(word);
  if (line !== null) {
    const tree = await findTree(store, line[1] ?? at.flags.text("tree"));
    return { tree, seq: Number(line[2]) };
  }
  const call = /^(p_\d+(?:\.\d+)?)#(\d+)\.(.+)$/.exec(word);
  if (call === null) {
    const expected = 'expected a line like "t_1#12", or a call like "p_1#2.3"';
    throw new UsageError(`Cannot prove "${word}": no line, ${expected}`);
  }
  const pid = call[1] as Pid;
  const place = { pid, step: Number(call[2]), key: call[3]! };
  const tree = treeOf(pid);
  const { decided } = await storyOf(store, tree, place);
  if (decided !== null) return { tree, seq: decided.seq };
  throw new SysError("ENOENT", `Cannot prove "${word}": not decided, expected a call that was`);
}

/** Prints what is sealed, a record a line. */
export async function exportRecords(at: Context, word: string): Promise<number> {
  const format = at.flags.text("format") ?? "jsonl";
  if (!FORMATS.includes(format)) {
    const expected = `expected ${FORMATS.join(" or ")}`;
    throw new UsageError(`Cannot export as "${format}": unknown, ${expected}`);
  }
  const isExact = format === "jsonl";
  if (isExact && at.io.isTerminal) {
    const state = "it is written exactly as it was, which a terminal may act upon";
    throw new UsageError(`Cannot export to a terminal: ${state}, expected > FILE`);
  }
  await auditing(at, "read", async (parts) => {
    const tree = word === "" ? {} : { tree: await findTree(parts.store, word) };
    await progressing(at, "Exporting", async (tell) => {
      let count = 0;
      for await (const record of exported(parts, { ...tree, format: format as ExportFormat })) {
        at.io.out(isExact ? `${record}\n` : `${safeJson(parseJson(record))}\n`);
        if (++count % RECORDS_A_WORD === 0) tell(`${count} records`);
      }
    });
  });
  return EXIT.ok;
}
