/**
 * `verify`: a store, or a proof or an export of one, which needs no store.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { oneLine } from "../providers/printable.ts";
import type { Anchor } from "../kernel/seal.ts";
import type { Fault } from "../kernel/history.ts";
import type { AuditReport } from "../runtime/audit.ts";
import { auditReport, faultText } from "../runtime/auditing.ts";
import { verifyTree } from "../runtime/load.ts";
import type { Audited } from "../runtime/seal.ts";
import { checkedView } from "../server/view/event.ts";
import { treesFor } from "./audit_list.ts";
import { anchorsOf, keptHeads, trustOf, unsealed } from "./audit_parts.ts";
import { verifyFile } from "./audit_file.ts";
import type { Context } from "./command.ts";
import { EXIT } from "./exit.ts";
import { isFile } from "./files.ts";
import { type Finding, listChecked } from "./audit_text.ts";
import { progressing } from "./progress.ts";
import { reading, TREE_CONTEXT } from "./store.ts";

/** Checks the file that a word names; else the tree, or the whole store. */
export async function verifyAny(at: Context, word: string): Promise<number> {
  if (word !== "" && await isFile(at, word)) return await verifyFile(at, word);
  const { found, damage } = await reading(at, async (store) => {
    const trees = await treesFor(store, word === "" ? undefined : word);
    const found: Finding[] = [];
    await progressing(at, "Checking", async (tell) => {
      for (const [i, tree] of trees.entries()) {
        tell(`${tree}, ${i + 1} of ${trees.length}`);
        found.push(checkedView(await verifyTree(store, tree, TREE_CONTEXT)));
      }
    });
    const audit = store.audit?.();
    const report = audit === undefined
      ? await noSeals(at, store.name)
      : await sealsOf(at, { store, audit });
    const whole = report === null ? found : withSeals(found, report, word === "");
    return { found: whole, damage: word === "" ? await store.check() : [] };
  });
  listChecked(at, found);
  for (const sentence of damage) at.io.err(`damage: ${oneLine(sentence)}\n`);
  return damage.length > 0 || found.some(({ ok }) => !ok) ? EXIT.integrity : EXIT.ok;
}

/** A store without seals has none to check: who brings keys or heads for them is told so. */
async function noSeals(at: Context, name: string): Promise<null> {
  const isWanted = (await trustOf(at)).keys.length > 0 || (await keptHeads(at)).length > 0;
  if (isWanted) throw unsealed(name);
  return null;
}

/** The check of the seals; null for a store that nobody sealed or says that somebody did. */
async function sealsOf(at: Context, parts: Audited): Promise<AuditReport | null> {
  const trust = await trustOf(at);
  const heads = await keptHeads(at);
  const kept: Anchor = {
    name: "--head",
    put: () => Promise.resolve(),
    latest: () => Promise.resolve(heads.at(-1)),
    all: () => Promise.resolve(heads),
  };
  const named = anchorsOf(at);
  const anchors = [...named, ...(heads.length > 0 ? [kept] : [])];
  const report = await auditReport({ ...parts, anchors }, trust);
  const isSealed = report.head !== null || report.faults.length > 0;
  if (isSealed || at.flags.text("anchor") !== undefined) await refuseEmpty(named);
  return isSealed || trust.keys.length > 0 ? report : null;
}

/** Refuses an anchor that keeps nothing: whoever names one would take it for compared. */
async function refuseEmpty(anchors: readonly Anchor[]): Promise<void> {
  for (const anchor of anchors) {
    if (await anchor.latest() !== undefined) continue;
    const sentence = `Cannot compare with ${anchor.name}: it keeps no head`;
    throw new SysError(
      "ENOENT",
      `${sentence}, expected one; libos audit seal --anchor puts it there`,
    );
  }
}

/** Puts what is wrong with sealed lines to their trees, and adds a row for the seals. */
function withSeals(found: readonly Finding[], report: AuditReport, isWhole: boolean): Finding[] {
  const { head, unsealed, anchored, faults } = report;
  const rows = found.map((row) => {
    const fault = faults.find(({ tree }) => tree === row.tree);
    if (fault === undefined || row.broken !== null) return row;
    return { ...row, ok: false, broken: faultText(fault), line: fault.seq };
  });
  const lost = faults.filter(({ tree }) =>
    tree !== null && !found.some((row) => row.tree === tree)
  );
  for (const fault of isWhole ? lost : []) rows.push(lostTree(fault));
  const own = faults.find(({ tree }) => tree === null);
  const missing = head === null ? "there is no signed head" : null;
  const broken = own === undefined ? missing : faultText(own);
  const seals = { unsealed, anchored, head, faults };
  const [lines, root] = [head?.size ?? 0, head?.root ?? ""];
  return [
    ...rows,
    { tree: null, lines, head: root, erased: 0, broken, ok: broken === null, line: null, seals },
  ];
}

function lostTree(fault: Fault): Finding {
  const { tree, seq } = fault;
  return { tree, lines: 0, head: "", erased: 0, broken: faultText(fault), ok: false, line: seq };
}
