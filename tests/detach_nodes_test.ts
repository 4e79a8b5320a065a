/**
 * Detached children over nodes: a child runs at another node than its parent, whatever dies.
 * @module
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { allow, defineImage, type RuntimeOptions } from "../mod.ts";
import { distant, near } from "./detach_child.ts";
import { fleetClaims } from "./fleet_place.ts";
import { readLines } from "../runtime/load.ts";

const CHILD = fileURLToPath(new URL("detach_child.ts", import.meta.url));
const claim = fleetClaims("kin");

const OF = `SELECT FROM $.trees t JOIN $.nodes n ON n.id = t.owner WHERE t.id = $1 AND n.name = $2`;
const images = [near, distant];
const far = { autorun: true, images, node: { name: "far", labels: { place: "far" } } } as const;

claim(
  "A child runs at the node that its parent asked for, and is waited for once, though the " +
    "parent's node is killed meanwhile",
  async (place) => {
    const killed = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", CHILD, place.url],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const reader = killed.stdout.pipeThrough(new TextDecoderStream()).getReader();
    assert.equal((await reader.read()).value, "waits p_1\n");
    await using other = await place.node(far);
    await place.until(OF, ["2", "far"]);
    killed.kill("SIGKILL");
    await Promise.all([killed.status, reader.cancel(), killed.stdin.close().catch(() => {})]);
    await place.sql("UPDATE $.nodes SET until = 0 WHERE name = 'near'");

    const again: RuntimeOptions = { autorun: true, images, node: { name: "again" } };
    await using one = await place.node({ ...again, operator: "test" });
    const parent = (await one.get("p_1"))!;
    await parent.send("over the line");
    const { result } = await parent.wait();
    const outcome = { kind: "exited", code: 0, result: ["over the line", "p_1"] };
    assert.deepEqual(result, ["p_2", "on my way", outcome]);
    const child = await (await other.get("p_2"))!.info();
    assert.deepEqual([child.parent, child.state], ["p_1", "ended"]);
    assert.deepEqual((await one.verify()).map(({ broken }) => broken), [null, null]);
    const lines = await Array.fromAsync(readLines(one.node.options.store, "t_2"));
    const last = lines.findIndex(({ type }) => type === "process.ended");
    const ran = lines.slice(0, last).findLast(({ type }) => type === "tree.opened")!;
    assert.equal((ran.data as { readonly node: string }).node, other.node.options.id);
    const begun = await place.sql("SELECT count(*)::integer AS n FROM $.trees WHERE seq > 0");
    assert.equal(begun[0]!.n, 2);
  },
);

claim(
  "What is revoked at the parent's node is gone at the child's, and a kill ends it there",
  async (place) => {
    const child = defineImage({
      name: "child",
      program: async ({ sys }) => {
        await sys.message.receive({});
        const { capabilities } = await sys.capability.list({});
        await sys.message.send({ to: "p_1", data: capabilities.map(({ rule }) => rule as string) });
        await sys.message.receive({});
      },
    });
    const parent = defineImage({
      name: "parent",
      program: async ({ sys }) => {
        const grants = ["net.fetch(https://a.example/**)", "net.fetch(https://b.example/**)"];
        const nodeSelector = { place: "far" };
        const { pid } = await sys.process.detach({
          image: "child",
          goal: "x",
          grants,
          nodeSelector,
        });
        await sys.message.receive({ filter: { type: "told" } });
        const { messages: [message] } = await sys.message.receive({ filter: { from: pid } });
        await sys.process.signal({ pid, signal: "kill", reason: "enough" });
        const { ended } = await sys.process.wait({ pids: [pid] });
        await sys.process.exit({ result: [message?.data ?? null, ended?.outcome.kind ?? null] });
      },
    });
    const known = [parent, child];
    await using other = await place.node({ ...far, images: known });
    await using one = await place.node({ autorun: true, images: known, node: { name: "one" } });
    const process = await one.spawn(parent, {
      goal: "x",
      nodeSelector: {},
      grants: [
        allow("process.detach"),
        allow("net.fetch", "https://a.example/**"),
        allow("net.fetch", "https://b.example/**"),
      ],
      images: [child],
    });
    await place.until(OF, ["2", "far"]);
    await place.until("SELECT FROM $.trees WHERE id = 2 AND live AND NOT ready");
    const { caps } = (await one.node.open("t_1")).state;
    const of = Object.values(caps).find((cap) =>
      cap.subject === "p_1" && cap.resource.includes("a.example")
    )!;
    await process.revoke(of.id);
    await (await other.get("p_2"))!.send("look");
    await process.send("go", { type: "told" });
    const { result } = await process.wait();
    assert.deepEqual(result, [["object.*(p_2/**)", "net.fetch(https://b.example/**)"], "killed"]);
    const ended = await (await other.get("p_2"))!.wait();
    assert.equal(ended.outcome.kind, "killed");
  },
);
