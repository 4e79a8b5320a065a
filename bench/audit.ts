/**
 * Audit: what it costs to check a log, beside what its hashes alone cost on the same machine.
 * @module
 */

import type { Line } from "../kernel/event.ts";
import { ExportReader } from "../kernel/export.ts";
import { LineWalk } from "../kernel/history.ts";
import type { TreeId } from "../kernel/ids.ts";
import { sha256 } from "../kernel/json.ts";
import { encodeLine, GENESIS } from "../kernel/log.ts";
import { verifyProof } from "../kernel/proof.ts";
import type { Batch } from "../kernel/store.ts";
import { realClock } from "../providers/clock.ts";
import { realRandom } from "../providers/random.ts";
import { checkSignature, SigningKey } from "../providers/signing.ts";
import { SqliteStore } from "../providers/sqlite_store.ts";
import { exportAudit, prove, verifyStore } from "../runtime/audit.ts";
import { seal } from "../runtime/seal.ts";
import {
  type Extent,
  infoRow,
  numberRow,
  type Row,
  type Section,
  timed,
  times,
} from "./measure.ts";

const LINES = 200_000;
const LINES_PER_BATCH = 100;
const ROUNDS = 5;
const PROOFS = 20;
const EVENTS_PER_SECOND_MIN = 200_000;

/** Lines as a checked call leaves them, some 400 bytes each. */
function linesOf(tree: TreeId): { readonly texts: string[]; readonly heads: string[] } {
  const [texts, heads]: [string[], string[]] = [[], []];
  let prev = GENESIS;
  for (let seq = 1; seq <= LINES; seq++) {
    const decision = { effect: "allow", by: [["cap_1.2"]], needs: [{ right: "file.read" }] };
    const args = { path: `notes/2026/${seq}.md` };
    const call = { pid: "p_1", step: seq, key: "1", name: "file.read", args, decision };
    const data = { ...call, result: { ok: true, reply: { text: "x".repeat(60) } } };
    const line = { tree, seq, atMs: 1_800_000_000_000 + seq, type: "call.done", data, prev };
    const { text, hash } = encodeLine(line as unknown as Line, new Map());
    texts.push(text);
    heads.push(hash);
    prev = hash;
  }
  return { texts, heads };
}

async function fill(store: SqliteStore): Promise<string[]> {
  const { tree } = await store.create(null);
  const { texts, heads } = linesOf(tree);
  const batches: Batch[] = [];
  for (let from = 0; from < LINES; from += LINES_PER_BATCH) {
    const to = from + LINES_PER_BATCH;
    batches.push({
      tree,
      epoch: 0,
      seq: from + 1,
      lines: texts.slice(from, to),
      head: heads[to - 1]!,
      payloads: new Map(),
      blobs: new Map(),
      taken: [],
      dueMs: null,
      puts: [],
      summary: { live: true, title: "", key: null, ready: false },
    });
  }
  await store.commit(batches);
  return texts;
}

/** How many events a second a job over all lines does; the best of some rounds. */
async function rateOf(job: () => unknown): Promise<number> {
  let best = Infinity;
  for (let round = 0; round < ROUNDS; round++) best = Math.min(best, await timed(job));
  return LINES / best * 1_000;
}

/** A rate: enough by itself, or as near to the hashes alone as `share`. */
function rateRow(what: string, rate: number, raw: number): Row {
  const share = rate / raw;
  return {
    ...numberRow(what, rate, { atLeast: EVENTS_PER_SECOND_MIN, unit: "events/s" }),
    raw: `${Math.round(raw).toLocaleString("en")} events/s`,
    ratio: share.toFixed(2),
  };
}

/** Sealing a long log, checking it in the store and as an export, and one proof. */
export async function audit({ folder }: Extent): Promise<Section> {
  const store = SqliteStore.open(`${folder}/audit.db`);
  try {
    const texts = await fill(store);
    const parts = { store, audit: store.audit() };
    const signer = SigningKey.inMemory({ clock: realClock, random: realRandom });
    const sealing = { ...parts, signer, clock: realClock, check: checkSignature };
    const sealed = times([await timed(() => seal(sealing))]);
    const trust = { keys: [signer.keys[0]!.key], check: checkSignature };
    const records = await Array.fromAsync(exportAudit(parts));
    const raw = await rateOf(() => texts.forEach((text) => sha256(text)));
    const chain = await rateOf(() => {
      const walk = new LineWalk("t_1", []);
      for (const text of texts) if (walk.push(text) !== null) throw new Error("a fault");
    });
    const reader = await rateOf(() => {
      const reader = new ExportReader(trust);
      for (const record of records) reader.push(record);
      if (reader.finish().fault !== null) throw new Error("a fault");
    });
    const whole = await rateOf(async () => {
      const { faults, lines } = await verifyStore(parts, trust);
      if (faults.length > 0 || lines !== LINES) throw new Error("a fault");
    });
    const proof = await prove(parts, "t_1", 123_456);
    const proofs: number[] = [];
    for (let n = 0; n < PROOFS; n++) proofs.push(await timed(() => verifyProof(proof, trust)));
    return {
      title: `Audit: ${LINES.toLocaleString("en")} lines of ${texts[0]!.length} bytes, one core`,
      rows: [
        rateRow("a chain, line by line", chain, raw),
        rateRow("an export with its seals", reader, raw),
        rateRow("a store in a file with its seals", whole, raw),
        infoRow("sealing all lines at once", sealed),
        infoRow("checking the proof of one line", times(proofs)),
      ],
      notes: [
        "Raw is SHA-256 of each line and nothing else: no check can be faster on one core.",
        "Exports and stores hash a node of a Merkle tree beside each line.",
      ],
    };
  } finally {
    await store.close();
  }
}
