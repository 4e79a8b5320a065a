/**
 * Checking a whole store, or an export of it: what was changed is found, and where.
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { allow } from "../mod.ts";
import { SysError } from "../kernel/errors.ts";
import { cloudEvent, ExportReader, type ExportReport } from "../kernel/export.ts";
import type { Fault } from "../kernel/history.ts";
import { canonical, sha256 } from "../kernel/json.ts";
import { verifyProof } from "../kernel/proof.ts";
import { MemoryAuditStore, type SignedHead, type Trust } from "../kernel/seal.ts";
import { exportAudit, prove, verifyStore } from "../runtime/audit.ts";
import { seal } from "../runtime/seal.ts";
import { busy, grown, type Place, placeOf, write } from "./audit_fixture.ts";
import { linesOf } from "./store_fixture.ts";
import { World } from "./world_fixture.ts";

const faultOf = async (place: Place): Promise<Fault | undefined> =>
  (await verifyStore(place, place.trust)).faults[0];

Deno.test("verifyStore() finds nothing wrong, and says what no seal covers", async () => {
  const place = await busy();
  const { faults, lines, trees, unsealed, head } = await verifyStore(place, place.trust);
  assert.deepEqual(faults, []);
  assert.deepEqual([lines, trees, unsealed, head?.size], [23, 3, 2, 6]);
  const unknown = placeOf();
  assert.equal((await verifyStore(unknown, unknown.trust)).head, null);
});

/** Changes to a log: what is done to the lines of a tree, and where that is found. */
type Forgery = (lines: string[], at: number) => string[];
const FORGERIES: Readonly<Record<string, Forgery>> = {
  "a byte flipped": (lines, at) => lines.with(at, flip(lines[at]!, 9)),
  "a byte of the chain flipped": (lines, at) => {
    const place = lines[at]!.lastIndexOf('"prev":"') + 12;
    return lines.with(at, flip(lines[at]!, place));
  },
  "a line dropped": (lines, at) => lines.toSpliced(at, 1),
  "a line replaced": (lines, at) => lines.with(at, lines[at]!.replace('"step":', '"stop":')),
  "two lines swapped": (lines, at) =>
    at + 1 < lines.length
      ? lines.with(at, lines[at + 1]!).with(at + 1, lines[at]!)
      : lines.slice(0, at),
  "a line inserted": (lines, at) => lines.toSpliced(at, 0, lines[at]!.replace("step", "stop")),
  "the end cut off": (lines, at) => lines.slice(0, at),
};

function flip(text: string, at: number): string {
  return text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ 1) + text.slice(at + 1);
}

/** An inserted line is found where the next one is missed, at the latest. */
const SLACK: Readonly<Record<string, number>> = { "a line inserted": 1 };

for (const [what, forgery] of Object.entries(FORGERIES)) {
  Deno.test(`verifyStore() finds and places ${what}`, async () => {
    const place = await busy();
    const length = (await linesOf(place.store, "t_2")).length;
    for (let at = 0; at < length; at++) {
      place.store.forge = (tree, batches) => {
        if (tree !== "t_2") return batches;
        const lines = forgery(batches.flatMap((batch) => [...batch.lines]), at);
        const payloads = new Map(batches.flatMap((batch) => [...batch.payloads]));
        return lines.map((line, i) => ({ seq: i + 1, lines: [line], payloads }));
      };
      const fault = await faultOf(place);
      assert.equal(fault?.tree, "t_2", `${at}`);
      const off = fault!.seq! - (at + 1);
      assert(off >= 0 && off <= (SLACK[what] ?? 0), `${at}: ${canonical(fault)}`);
    }
  });

  Deno.test(`ExportReader finds and places ${what}`, async () => {
    const place = await busy();
    const records = await Array.fromAsync(exportAudit(place));
    const isLine = (record: string) => record.includes('"tree":"t_2","type":"call');
    const first = records.findIndex(isLine);
    const bare = records.filter((record) => !record.includes("libos.payload"));
    const count = records.filter(isLine).length;
    const from = bare.findIndex(isLine);
    assert(first > 0 && count === 11);
    for (let at = 0; at < count; at++) {
      const lines = forgery(bare.slice(from, from + count), at);
      const report = read([...bare.slice(0, from), ...lines, ...bare.slice(from + count)], place);
      const { fault } = report;
      assert.equal(fault?.tree, "t_2", `${at}: ${canonical(fault)}`);
      const off = fault!.seq! - (at + 1);
      assert(off >= 0 && off <= (SLACK[what] ?? 0), `${at}: ${canonical(fault)}`);
    }
  });
}

function read(
  records: readonly string[],
  { trust }: { readonly trust: Trust },
  heads?: SignedHead[],
): ExportReport {
  const reader = new ExportReader(trust);
  for (const record of records) reader.push(record);
  return reader.finish(heads);
}

Deno.test("An export of a store or of one tree is whole, and tells nothing of other trees", async () => {
  const place = await busy();
  const all = await Array.fromAsync(exportAudit(place));
  const report = read(all, place);
  assert.equal(report.fault, null);
  assert.deepEqual([report.lines, report.payloads, report.payloadsMissing], [21, 6, 0]);
  const one = await Array.fromAsync(exportAudit(place, "t_3"));
  const single = read(one, place);
  assert.deepEqual([single.fault, single.lines, single.head?.size], [null, 1, 6]);
  assert(!one.some((record) => record.includes('"t_1"') || record.includes('"t_2"')));
  await assert.rejects(Array.fromAsync(exportAudit(place, "t_9")), SysError);
});

Deno.test("ExportReader misses no flipped bit, dropped, doubled or moved record", async () => {
  const place = await busy();
  const records = await Array.fromAsync(exportAudit(place));
  assert.equal(read(records, place).fault, null);
  const anywhere = fc.record({ at: fc.nat(records.length - 1), chance: fc.nat(1_000_000) });
  fc.assert(
    fc.property(anywhere, ({ at, chance }) => {
      const bytes = new TextEncoder().encode(records[at]!);
      bytes[chance % bytes.length]! ^= 1 << (chance % 8);
      const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
      assert.notEqual(read(records.with(at, text), place).fault, null, text);
      const isPayload = records[at]!.endsWith('"libos.payload/1"}');
      const dropped = read(records.toSpliced(at, 1), place);
      const found = isPayload ? dropped.payloadsMissing === 1 : dropped.fault !== null;
      // A head between others may be left out: the next one signs for all it covered.
      const isHead = records[at]!.endsWith('"libos.head/1"}');
      assert(found || isHead, `dropped ${records[at]}`);
      assert.notEqual(read(records.toSpliced(at, 0, records[at]!), place).fault, null, "doubled");
      const to = chance % records.length;
      if (records[to] === records[at] || to === at) return;
      const moved = records.toSpliced(at, 1).toSpliced(to, 0, records[at]!);
      assert.notEqual(read(moved, place).fault, null, `moved ${at} to ${to}`);
    }),
    { numRuns: 300 },
  );
});

Deno.test("ExportReader finds an export that was cut anywhere", async () => {
  const place = await busy();
  const records = await Array.fromAsync(exportAudit(place));
  for (let length = 0; length < records.length; length++) {
    const { fault, payloadsMissing } = read(records.slice(0, length), place);
    const last = records[length]!.endsWith('"libos.payload/1"}') && length === records.length - 1;
    assert(fault !== null || (last && payloadsMissing === 1), `${length}`);
  }
});

Deno.test("A history cut back to an earlier seal only shows by a head from elsewhere", async () => {
  const place = await busy();
  const kept = (await place.audit.last())!.head;
  const old = placeOf(place.signer);
  await grown(old.store, 5);
  await seal(old);
  const records = await Array.fromAsync(exportAudit(old));
  assert.equal(read(records, place).fault, null);
  assert.match(read(records, place, [kept]).fault!.why, /was cut after 2 leaves/);
});

Deno.test("A sealed line written anew with all behind it is found at its seal", async () => {
  const place = placeOf();
  const tree = await grown(place.store, 6);
  await seal(place);
  const forged = placeOf(place.signer);
  await forged.store.create(null);
  await write(forged.store, tree, 2);
  const head = (await forged.store.head(tree))!;
  assert.notEqual(head.head, null);
  const lines = await linesOf(place.store, tree);
  let prev = sha256(lines[1]!);
  const rewritten = lines.map((line, i) => {
    if (i < 2) return line;
    const text = line.replace('"step":3', '"step":33').replace(
      /"prev":"[0-9a-f]+"/,
      `"prev":"${prev}"`,
    );
    prev = sha256(text);
    return text;
  });
  place.store.forge = (_, batches) =>
    batches.map((batch, i) => ({ ...batch, lines: [rewritten[i]!] }));
  const fault = await faultOf(place);
  assert.deepEqual([fault?.tree, fault?.seq], [tree, 6]);
  assert.match(fault!.why, /lines from 1 on/);
});

Deno.test("verifyStore() finds a changed payload, a lost tree and a changed leaf", async () => {
  const place = await busy();
  place.store.forge = (_, batches) =>
    batches.map((batch) => ({
      ...batch,
      payloads: new Map([...batch.payloads].map(([hash, text]) => [hash, `${text} `])),
    }));
  assert.deepEqual([(await faultOf(place))?.tree, (await faultOf(place))?.seq], ["t_1", 3]);
  const lost = { ...await busy(), store: placeOf().store };
  const gone = await verifyStore(lost, lost.trust);
  assert.deepEqual(gone.faults.map(({ tree }) => tree), ["t_1", "t_2", "t_3"]);
  class ForgedAudit extends MemoryAuditStore {
    override async leaves(from: number, limit: number): Promise<readonly string[]> {
      const texts = await super.leaves(from, limit);
      return texts.map((text) => text.replace('"from":5', '"from":4'));
    }
  }
  const forged = { ...placeOf(), audit: new ForgedAudit() };
  await grown(forged.store, 5);
  await seal(forged);
  await write(forged.store, "t_1", 1);
  await seal(forged);
  assert.equal((await faultOf(forged))?.leaf, 2);
});

Deno.test("The log of a real run is sealed, proved and exported while its kernel is open", async () => {
  const place = placeOf();
  const { store } = place;
  const world = new World({ store });
  await world.result(async ({ sys }) => {
    await sys.object.create({ name: "x", value: "é".repeat(900) });
    await sys.file.write({ path: "a", text: "t".repeat(900) });
  }, { grants: [allow("file.write", "**")] });
  await world.os.verify();
  const { lines } = await seal(place);
  const { faults, unsealed } = await verifyStore(place, place.trust);
  assert.deepEqual([faults, unsealed], [[], 0]);
  const report = read(await Array.fromAsync(exportAudit(place)), place);
  assert.deepEqual([report.fault, report.lines, report.payloadsMissing], [null, lines, 0]);
  assert(report.payloads > 0);
  assert(verifyProof(await prove(place, "t_1", 2), place.trust).ok);
  await world.os.close();
});

Deno.test("cloudEvent() has what CloudEvents 1.0 asks for, in the form it asks for", async () => {
  const place = await busy();
  const [text] = await linesOf(place.store, "t_2");
  const event = cloudEvent(text!, place.signer.log);
  assert.equal(event.specversion, "1.0");
  assert.equal(event.id, "1");
  assert.equal(event.source, `urn:libos:${place.signer.log}:t_2`);
  assert.equal(event.type, "dev.libos.call.intent");
  assert.equal(event.subject, "p_2");
  assert.equal(new Date(event.time).getTime(), 1_700_000_000_001);
  assert.deepEqual(event.data, JSON.parse(text!).data);
  for (const name of Object.keys(event)) assert.match(name, /^[a-z0-9]{1,20}$/);
});
