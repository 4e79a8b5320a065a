/**
 * The log as somebody reads it who has a JSON reader and SHA-256, and nothing of ours: the chain,
 * every call with what it was given and what it answered, and a whole state.
 * @module
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { allow, defineImage, SqliteStore } from "../mod.ts";
import { scriptedModel } from "../testing.ts";
import { exportTree } from "../runtime/portable.ts";
import { CountedFiles, START_MS, World } from "./world_fixture.ts";

const LONG = "What stands in a file, and is too long for a line. ".repeat(20);

/** An agent that reads, writes and says so, with a child of its own in between. */
const WRITER = defineImage({
  name: "writer",
  model: scriptedModel([
    { tool: "file_read", input: { path: "in" } },
    { tool: "file_write", input: { path: "out", text: LONG } },
    "Both are there",
  ]),
});

/** What any JSON reader makes of a record. */
type Read = Readonly<Record<string, unknown>>;

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** A whole agent's life as JSON Lines. */
async function exported(): Promise<string[]> {
  const files = new CountedFiles();
  files.put("in", LONG);
  const store = SqliteStore.open(":memory:");
  const world = new World({ store, files });
  const grants = [allow("file.read", "./**"), allow("file.write", "./**")];
  const process = await world.start(WRITER, { grants });
  assert.equal((await world.ended(process)).result, "Both are there");
  const tree = await world.tree();
  await world.os.node.durable(tree);
  const { seq } = tree.state;
  await store.putSnapshot("t_1", { seq, head: tree.head, state: tree.dump() });
  const records = await Array.fromAsync(exportTree(store, "t_1"));
  await world.close();
  return records;
}

/** Values by hash: what is too long for a line stands behind it, or at the end. */
function besideOf(read: readonly Read[]): ReadonlyMap<string, unknown> {
  const beside = new Map<string, unknown>();
  for (const { type, text } of read) {
    if (type !== "libos.payload/1" && type !== "libos.blob/1") continue;
    beside.set(sha256(text as string), JSON.parse(text as string));
  }
  return beside;
}

/** Calls in order, each with its name and what it answered. */
function callsOf(read: readonly Read[]): (readonly [string, unknown])[] {
  const beside = besideOf(read);
  const open = new Map<string, string>();
  const calls: (readonly [string, unknown])[] = [];
  for (const { type, data } of read) {
    const { pid, step, key, name, result } = (data ?? {}) as Read;
    const place = `${pid} ${step} ${key}`;
    if (type === "call.intent") open.set(place, name as string);
    if (type !== "call.outcome" && type !== "call.done") continue;
    const { reply } = result as { readonly reply?: Read | null };
    const hash = reply?.["$payload"];
    const whole = typeof hash === "string" ? beside.get(hash) : reply;
    calls.push([type === "call.done" ? name as string : open.get(place)!, whole]);
  }
  return calls;
}

Deno.test("A JSON reader and SHA-256 are enough to check a log, and to read every call and a whole state", async () => {
  const records = await exported();
  const read = records.map((text) => JSON.parse(text) as Read);
  let [seq, head] = [0, "0".repeat(64)];
  for (const [i, line] of read.entries()) {
    if (line["prev"] === undefined) continue;
    seq += 1;
    assert.deepEqual([line["seq"], line["prev"]], [seq, head]);
    head = sha256(records[i]!);
  }
  assert.deepEqual([read[0]!["seq"], read[0]!["head"]], [seq, head]);
  const calls = callsOf(read);
  const replies = (name: string): readonly Read[] =>
    calls.filter((call) => call[0] === name).map(([, reply]) => reply as Read);
  const said = replies("model.generate").map(({ calls, text }) => [
    ...(calls as readonly { readonly name: string }[]).map(({ name }) => name),
    text,
  ]);
  assert.deepEqual(said, [["file_read", ""], ["file_write", ""], ["Both are there"]]);
  assert.deepEqual(replies("file.read").map(({ text }) => text), [LONG]);
  assert.deepEqual(replies("file.write").map(({ bytes }) => bytes), [LONG.length]);
  assert.equal(replies("tool.call").length, 2);
  const steps = read.filter(({ type }) => type === "process.stepped").map(({ data }) =>
    (data as { readonly step: number }).step
  );
  assert.deepEqual(steps, [2, 3]);
  const { state } = read.find(({ type }) => type === "libos.snapshot/1")!;
  const { processes } = state as { readonly processes: Readonly<Record<string, Read>> };
  assert.deepEqual(processes["p_1"]!["life"], {
    state: "ended",
    atMs: START_MS,
    outcome: { kind: "exited", code: 0, result: "Both are there" },
  });
});
