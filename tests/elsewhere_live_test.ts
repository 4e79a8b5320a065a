/**
 * What is told live of trees that other nodes have: each line once, in order, to who may see it.
 * @module
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import postgres from "postgres";
import type { TreeId } from "../kernel/ids.ts";
import { linesFrom } from "../server/lines.ts";
import { told } from "../server/told.ts";
import { brief, fleetClaims, type FleetPlace, waiter } from "./fleet_place.ts";
import { type ServerPlace, serverPlace } from "./server_place.ts";
import { batchOf, newTree } from "./store_fixture.ts";

const claim = fleetClaims("live");

interface Event {
  readonly id: string;
  readonly kind: string;
  readonly tree: string | null;
  readonly seq: number | null;
  readonly summary: { readonly state?: string };
}

/** An open stream, and what it told so far. */
class Heard {
  readonly events: Event[] = [];
  readonly #reader: ReadableStreamDefaultReader<string>;
  #text = "";

  constructor(answer: Response) {
    assert.equal(answer.status, 200);
    this.#reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Reads on until something holds of what was told. */
  async until(holds: (events: readonly Event[]) => boolean): Promise<void> {
    while (!holds(this.events)) {
      const { done, value } = await this.#reader.read();
      assert(!done, "The stream ended");
      this.#text += value;
      for (let at = this.#text.indexOf("\n\n"); at >= 0; at = this.#text.indexOf("\n\n")) {
        const fields = this.#text.slice(0, at).split("\n");
        this.#text = this.#text.slice(at + 2);
        const of = (name: string) =>
          fields.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
        const data = of("data");
        if (data === undefined) continue;
        const { kind = "reset", ...event } = JSON.parse(data);
        this.events.push({ ...event, kind, id: of("id")! });
      }
    }
  }

  /** Until trees ended. */
  async untilEnded(pids: readonly string[]): Promise<void> {
    await this.until((events) =>
      pids.every((pid) =>
        events.some(({ tree, summary }) => tree === treeOf(pid) && summary?.state === "ended")
      )
    );
  }

  async close(): Promise<void> {
    await this.#reader.cancel();
  }
}

const treeOf = (pid: string): TreeId => `t_${Number(pid.slice(2))}`;

/** Numbers of the lines of a tree that streams tell, in order. */
async function toldOf(at: ServerPlace, tree: TreeId): Promise<number[]> {
  const lines = await Array.fromAsync(linesFrom(at.runtime.node.options.store, tree, 1));
  return lines.filter((line) => told(line) !== undefined).map(({ seq }) => seq);
}

/** Numbers of lines of a tree that were told. */
function seqsOf(events: readonly Event[], tree: TreeId): number[] {
  return events.filter((event) => event.tree === tree).map(({ seq }) => seq!);
}

/** A node in a process of its own. */
class Other {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<string>;
  #text = "";

  private constructor(url: string) {
    const path = fileURLToPath(new URL("./live_child.ts", import.meta.url));
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", path, url],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#reader = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  static async start(url: string): Promise<Other> {
    const other = new Other(url);
    assert.equal(await other.#line(), "ready");
    return other;
  }

  async #line(): Promise<string> {
    while (!this.#text.includes("\n")) {
      const { done, value } = await this.#reader.read();
      assert(!done, "The node ended");
      this.#text += value;
    }
    const at = this.#text.indexOf("\n");
    const line = this.#text.slice(0, at);
    this.#text = this.#text.slice(at + 1);
    return line;
  }

  /** Starts a tree there; its root's pid. */
  async spawn(team: string, goal: string): Promise<string> {
    await this.#writer.write(new TextEncoder().encode(`${team} ${goal}\n`));
    return await this.#line();
  }

  async stop(): Promise<void> {
    await this.#writer.close();
    await this.#child.status;
    await this.#reader.cancel();
  }
}

async function served(place: FleetPlace): Promise<ServerPlace> {
  const images = [waiter, brief];
  return await serverPlace({
    runtime: { store: place.url, images, approvals: "deny", autorun: false },
  });
}

claim(
  "A server tells of trees of another process as they go on, and after a cut, each line once",
  async (place) => {
    const other = await Other.start(place.url);
    {
      await using at = await served(place);
      const of = (team: string) =>
        at.server.tokens.create({ name: team, role: "viewer", labels: { team } }).secret;
      const [red, none] = [of("red"), of("none")];
      const open = async (secret: string, since?: string): Promise<Heard> => {
        const headers: Record<string, string> = { authorization: `Bearer ${secret}` };
        if (since !== undefined) headers["last-event-id"] = since;
        return new Heard(await at.ask(null, "/v1/events", { headers }));
      };
      const reset = (events: readonly Event[]): boolean => events.length === 1;
      const all = await open(at.secrets.viewer);
      const some = await open(red);
      const nobody = await open(none);
      for (const one of [all, some, nobody]) await one.until(reset);

      const first = [await other.spawn("red", "a"), await other.spawn("blue", "b")];
      await all.untilEnded(first);
      await some.untilEnded([first[0]!]);
      for (const pid of first) {
        assert.deepEqual(seqsOf(all.events, treeOf(pid)), await toldOf(at, treeOf(pid)), pid);
      }

      // Cut off while others go on, also in the middle of a tree.
      const half = all.events.findIndex(({ tree }) => tree === treeOf(first[1]!)) + 1;
      const kept = all.events.slice(0, half);
      await all.close();
      await some.close();
      const second = [await other.spawn("blue", "c"), await other.spawn("red", "d")];
      const again = await open(at.secrets.viewer, kept.at(-1)!.id);
      await again.untilEnded(second);
      const whole = [...kept, ...again.events];
      assert(!again.events.some(({ kind }) => kind === "reset"));
      assert.equal(new Set(whole.map(({ id }) => id)).size, whole.length);
      for (const pid of [...first, ...second]) {
        assert.deepEqual(seqsOf(whole, treeOf(pid)), await toldOf(at, treeOf(pid)), pid);
      }

      // Who sees some trees is told of those, and of no other; also what was missed.
      const back = await open(red, some.events.at(-1)!.id);
      await back.untilEnded([second[1]!]);
      const seen = [...some.events, ...back.events];
      for (const pid of [first[0]!, second[1]!]) {
        assert.deepEqual(seqsOf(seen, treeOf(pid)), await toldOf(at, treeOf(pid)), pid);
      }
      const trees = new Set(seen.flatMap(({ tree }) => tree ?? []));
      assert.deepEqual([...trees].sort(), [first[0]!, second[1]!].map(treeOf).sort());
      const own = await at.runtime.spawn(brief, { goal: "own", labels: { team: "none" } });
      await at.runtime.runUntilIdle();
      await nobody.untilEnded([own.pid]);
      assert.deepEqual(
        [...new Set(nobody.events.slice(1).map(({ tree }) => tree))],
        [treeOf(own.pid)],
      );
      for (const one of [again, back, nobody]) await one.close();

      // The stream of one process is woken in the same way.
      const pid = await other.spawn("red", "wait");
      const process = new Heard(await at.ask("viewer", `/v1/processes/${pid}/events`));
      await process.until((events) =>
        events.some((one) => one.summary.state === "waiting/message")
      );
      await process.close();
    }
    await other.stop();
  },
);

claim("HE1 A tree that moves from node to node is told once and in order", async (place) => {
  await using at = await served(place);
  const all = new Heard(await at.ask("viewer", "/v1/events"));
  await all.until((events) => events.length === 1);
  const pids: string[] = [];
  for (let i = 0; i < 6; i++) {
    {
      await using other = await place.node();
      pids.push((await other.spawn(waiter, { goal: `${i}` })).pid);
      await other.runUntilIdle();
    }
    // At once, and not when what the other wrote was told.
    const process = (await at.runtime.get(pids[i]!))!;
    await process.send("go on");
    await at.runtime.runUntilIdle();
  }
  await all.untilEnded(pids);
  for (const pid of pids) {
    assert.deepEqual(seqsOf(all.events, treeOf(pid)), await toldOf(at, treeOf(pid)), pid);
  }
  await all.close();
});

claim(
  "PL1 What becomes visible out of order is told once, and what was rolled back never",
  async (place) => {
    const store = await place.store();
    const schema = new URL(place.url).searchParams.get("schema")!;
    const lines = [1, 2, 3, 4].map(() =>
      postgres(place.url.split("?")[0]!, { max: 1, onnotice: () => {} })
    );
    const trees: TreeId[] = [];
    for (let i = 0; i < 6; i++) trees.push(await newTree(store));
    /** What a commit does, held before its end. */
    const held = async (sql: postgres.Sql, tree: TreeId): Promise<void> => {
      await sql.unsafe("BEGIN");
      await sql.unsafe(`UPDATE ${schema}.trees SET seq = 1 WHERE id = ${tree.slice(2)}`);
      await sql.unsafe(
        `INSERT INTO ${schema}.batches(tree, seq, count, body) VALUES(${
          tree.slice(2)
        }, 1, 1, '{}')`,
      );
    };
    try {
      await held(lines[0]!, trees[0]!);
      await store.commit([batchOf(trees[1]!)]);
      const tail = await store.tail();
      const next = async (): Promise<string[]> =>
        (await tail.next(100, () => false)).map(({ tree, seq, batch }) => {
          assert.equal(batch?.seq, seq);
          return tree;
        });
      assert.deepEqual(await next(), [], "What was committed before is not told");
      await held(lines[1]!, trees[2]!);
      await held(lines[2]!, trees[3]!);
      await held(lines[3]!, trees[4]!);
      await store.commit([batchOf(trees[5]!)]);
      assert.deepEqual(await next(), [trees[5]]);
      assert.deepEqual(await next(), []);
      await lines[2]!.unsafe("COMMIT");
      assert.deepEqual(await next(), [trees[3]]);
      await lines[1]!.unsafe("ROLLBACK");
      await lines[0]!.unsafe("COMMIT");
      assert.deepEqual(await next(), [trees[0]], "What was under way at the beginning is told");
      assert.deepEqual(await next(), []);
      await lines[3]!.unsafe("COMMIT");
      assert.deepEqual(await next(), [trees[4]]);
      assert.deepEqual(await next(), []);
    } finally {
      // What is not over would be waited for.
      for (const sql of lines) await sql.end({ timeout: 0 });
    }
    await store.close();
  },
);

claim(
  "TL1 However many write, a tail tells each batch once, and those of a tree in order",
  async (place) => {
    const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
    let state = seed;
    const random = (n: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor(state / 2 ** 32 * n);
    };
    const stores = [];
    for (let i = 0; i < 4; i++) stores.push(await place.store());
    const trees: TreeId[] = [];
    for (let i = 0; i < 8; i++) trees.push(await newTree(stores[0]!));
    const tail = await stores[0]!.tail();
    let isOver = false;
    const heard: string[] = [];
    const following = (async () => {
      for (;;) {
        const last = isOver;
        const page = await tail.next(1 + random(9), () => false);
        heard.push(...page.map(({ tree, seq }) => `${tree} ${seq}`));
        if (last && page.length === 0) return;
      }
    })();
    await Promise.all(stores.map(async (store, i) => {
      const seqs = [0, 0];
      for (let n = 0; n < 60; n++) {
        const at = random(2);
        const tree = trees[2 * i + at]!;
        // Now and then one that is refused, which leaves a position behind.
        const wrong = { seq: seqs[at]! + 1, epoch: 7 };
        if (random(4) === 0) await store.commit([batchOf(tree, wrong)]).catch(() => {});
        await store.commit([batchOf(tree, { seq: seqs[at]! += 1 })]);
      }
    }));
    isOver = true;
    await following;
    assert.equal(new Set(heard).size, heard.length, `seed ${seed}`);
    assert.equal(heard.length, 240, `seed ${seed}`);
    for (const tree of trees) {
      const seqs = heard.filter((one) => one.startsWith(`${tree} `)).map((one) =>
        one.split(" ")[1]
      );
      assert.deepEqual(seqs, seqs.map((_, i) => `${i + 1}`), `seed ${seed}`);
    }
    for (const store of stores) await store.close();
  },
);
