/**
 * Idle trees leave memory, come back on whatever wakes them, and nothing of them is lost.
 * @module
 */

import assert from "node:assert/strict";
import { type AgentProcess, allow, ask, type PersonRequest } from "../mod.ts";
import { MemoryStore, ScriptedPerson, VirtualClock } from "../testing.ts";
import { Draft } from "../kernel/draft.ts";
import { treeOf } from "../kernel/ids.ts";
import { orderItem } from "../kernel/inbox.ts";
import type { Json } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import { codeOf, CountedFiles, imageOf, inWorld, START_MS, World } from "./world_fixture.ts";
import { Died, MortalStore, MortalWorld } from "./world_fixture_crash.ts";

const NONE = { quiet: 0, quietMs: 0, asking: 0 } as const;
const GRANTS = [allow("human.*"), allow("message.send"), ask("file.write", "./d/**")];

/** Lets everything leave that may. */
async function empty(world: World): Promise<void> {
  for (let i = 0; i < 4; i++) {
    world.os.node.leaveIdle(NONE);
    await world.clock.settle();
  }
}

const SLEEPER = imageOf(async ({ sys }) => {
  await sys.clock.sleep({ ms: 3_600_000 });
  return "woken";
}, { name: "sleeper" });

const RECEIVER = imageOf(async ({ sys }) => {
  const { messages } = await sys.message.receive({});
  return messages[0]!["data"] as Json;
}, { name: "receiver" });

const ASKER = imageOf(async ({ sys, goal }) => {
  const { answer } = await sys.human.ask({ prompt: goal });
  return answer;
}, { name: "asker" });

const SENDER = imageOf(({ sys, goal }) => sys.message.send({ to: goal as "p_1", data: "hello" }), {
  name: "sender",
});

interface Waking {
  readonly what: string;
  readonly image: ReturnType<typeof imageOf>;
  wake(world: World, process: AgentProcess): Promise<void>;
  readonly result: Json;
}

const WAKINGS: readonly Waking[] = [
  {
    what: "timer",
    image: SLEEPER,
    wake: (world) => world.pass(3_600_000),
    result: "woken",
  },
  {
    what: "message from outside",
    image: RECEIVER,
    wake: (_, process) => process.send("hi"),
    result: "hi",
  },
  {
    what: "message of another tree",
    image: RECEIVER,
    wake: async (world, { pid }) => void await world.start(SENDER, { goal: pid, grants: GRANTS }),
    result: "hello",
  },
  {
    what: "answer",
    image: ASKER,
    wake: (world) => world.os.approvals.decide("req_1.1", { outcome: "answer", value: "so" }),
    result: "so",
  },
  {
    what: "signal",
    image: SLEEPER,
    wake: (_, process) => process.signal("kill"),
    result: null,
  },
  {
    what: "item that another process put in",
    image: RECEIVER,
    wake: async (world, { pid }) =>
      await world.store.putInbox(
        treeOf(pid),
        orderItem("other:1", {
          kind: "message",
          to: pid,
          from: "person:me",
          type: "message",
          data: "late",
          interrupt: false,
          replyTo: null,
          label: { sensitivity: "public", trust: "user" },
        }),
      ),
    result: "late",
  },
];

for (const { what, image, wake, result } of WAKINGS) {
  Deno.test(`A tree out of memory comes back by a ${what}, and who waits for it hears`, () =>
    inWorld(async (world) => {
      const process = await world.start(image, { goal: "Well?", grants: GRANTS });
      const lines = (await world.lines()).length;
      const waited = process.wait();
      await empty(world);
      assert.equal(world.os.node.peek("t_1"), undefined);
      assert.equal((await world.store.head("t_1"))!.seq, lines, "leaving wrote a line");
      await wake(world, process);
      await world.os.runUntilIdle();
      assert.deepEqual((await waited).result, result);
      assert.equal((await world.events("tree.opened")).length, 1);
    }));
}

interface Staying {
  readonly what: string;
  hold(world: World): Promise<() => Promise<void>>;
}

const STAYINGS: readonly Staying[] = [
  {
    what: "its effect is being sent",
    async hold(world) {
      let go: () => void = () => {};
      const gate = new Promise<void>((resolve) => go = resolve);
      world.files!.before = (what) => what.startsWith("write") ? gate : undefined;
      await world.os.spawn(
        imageOf(({ sys }) => sys.file.write({ path: "w/a", text: "" })),
        { goal: "write", grants: [allow("file.write", "./w/**")] },
      );
      const ran = world.os.runUntilIdle();
      await world.clock.settle();
      return async () => {
        go();
        await ran;
        assert.equal(world.files!.count("write w/a"), 1);
      };
    },
  },
  {
    what: "it is ready",
    async hold(world) {
      await world.os.spawn(imageOf(() => Promise.resolve(1)), { goal: "go" });
      return () => world.os.runUntilIdle();
    },
  },
  {
    what: "it is due soon",
    async hold(world) {
      await world.start(imageOf(({ sys }) => sys.clock.sleep({ ms: LIMITS.treeDueMsMin - 1 })));
      return () => world.untilDone();
    },
  },
  {
    what: "it is held",
    async hold(world) {
      await world.start(RECEIVER);
      const hosted = await world.os.node.hosted("t_1");
      hosted.held += 1;
      return () => Promise.resolve(void (hosted.held -= 1));
    },
  },
];

for (const { what, hold } of STAYINGS) {
  Deno.test(`A tree stays in memory while ${what}`, () =>
    inWorld(async (world) => {
      const release = await hold(world);
      await empty(world);
      assert.notEqual(world.os.node.peek("t_1"), undefined);
      await release();
      await (await world.os.get("p_1"))!.signal("kill").catch(() => {});
      await world.os.runUntilIdle();
    }));
}

Deno.test("A tree whose last lines are not written leaves after they are", () =>
  inWorld(async (world) => {
    const process = await world.start(RECEIVER);
    const { node } = world.os;
    const tree = await world.tree();
    const draft = new Draft(tree, world.clock.now());
    draft.add("budget.limited", { pid: process.pid, limits: { tokens: 5 }, by: "me" });
    tree.commit(draft);
    const { seq } = tree.state;
    for (let i = 0; i < 3; i++) node.leaveIdle(NONE);
    assert.equal(node.peek("t_1"), tree);
    await empty(world);
    assert.equal(node.peek("t_1"), undefined);
    assert.equal((await world.store.head("t_1"))!.seq, seq);
    assert.equal((await world.os.ps())[0]!.budget.tokens, 5);
    await process.signal("kill");
  }));

Deno.test("Nothing is written of a tree object that left memory", () =>
  inWorld(async (world) => {
    const process = await world.start(RECEIVER);
    const old = await world.tree();
    await empty(world);
    const draft = new Draft(old, world.clock.now());
    draft.add("budget.limited", { pid: process.pid, limits: { tokens: 5 }, by: "me" });
    old.commit(draft);
    assert.equal(await codeOf(world.os.node.durable(old)), "EAGAIN");
    await process.send("hi");
    await world.os.runUntilIdle();
    assert.equal((await process.wait()).result, "hi");
  }));

Deno.test("More trees than are kept wait: the others leave, and all wake when they are due", () =>
  inWorld(async (world) => {
    const count = LIMITS.treesIdleKept + 200;
    for (let i = 0; i < count; i++) await world.os.spawn(SLEEPER, { goal: `${i}` });
    for (let i = 0; i < 4; i++) await world.os.runUntilIdle();
    assert.ok(world.os.node.trees.length <= LIMITS.treesIdleKept, `${world.os.node.trees.length}`);
    assert.equal((await world.os.ps()).length, count);
    await world.pass(3_600_000);
    assert.equal((await world.os.trees()).length, 0);
  }));

Deno.test("A tree that was not used for long leaves though there is room", () =>
  inWorld(async (world) => {
    const process = await world.start(RECEIVER);
    const kept = { quiet: 10, quietMs: LIMITS.treeIdleMsMax, asking: 10 };
    const leave = async (): Promise<void> => {
      for (let i = 0; i < 3; i++) world.os.node.leaveIdle(kept);
      await world.clock.settle();
    };
    await world.clock.advance(LIMITS.treeIdleMsMax);
    await leave();
    assert.notEqual(world.os.node.peek("t_1"), undefined);
    await world.clock.advance(1);
    await leave();
    assert.equal(world.os.node.peek("t_1"), undefined);
    await process.signal("kill");
  }));

Deno.test("A runtime by itself lets trees leave, and wakes them by time and by each other", () =>
  inWorld(async (world) => {
    const { node } = world.os;
    const long = imageOf(({ sys }) => sys.clock.sleep({ ms: LIMITS.treeIdleMsMax + 10_000 }));
    const sleeper = await world.os.spawn(long, { goal: "sleep" });
    const receiver = await world.os.spawn(RECEIVER, { goal: "receive" });
    const ended = [sleeper.wait(), receiver.wait()];
    await world.clock.advance(LIMITS.treeIdleMsMax + 2_000);
    assert.deepEqual(node.trees, []);
    await world.os.spawn(SENDER, { goal: receiver.pid, grants: GRANTS });
    await world.clock.advance(1_000);
    assert.equal((await ended[1]!).result, "hello");
    await world.clock.advance(10_000);
    assert.ok((await ended[0]!).ok);
  }, { autorun: true }));

const CROWD = LIMITS.treesAskingKept + 150;

/** Starts more trees that ask than are kept in memory. */
async function crowd(world: World): Promise<void> {
  for (let i = 1; i <= CROWD; i++) {
    await world.os.spawn(ASKER, { goal: `${i}`, grants: GRANTS });
    if (i % 300 === 0) await world.os.runUntilIdle();
  }
  for (let i = 0; i < 4; i++) await world.os.runUntilIdle();
}

function ids(requests: readonly PersonRequest[]): Set<string> {
  return new Set(requests.map(({ id }) => id));
}

Deno.test("Requests beyond what is kept in memory are all listed, watched, shown and answered", async () => {
  const store = new MortalStore(new MemoryStore(), null);
  const clock = new VirtualClock(START_MS);
  const first = new World({ store, clock });
  const stop = new AbortController();
  const watched: string[] = [];
  const watching = (async () => {
    for await (const { id } of first.os.approvals.watch({ signal: stop.signal })) watched.push(id);
  })();
  await crowd(first);
  const { approvals, node } = first.os;
  assert.ok(approvals.list().length <= LIMITS.treesAskingKept);
  assert.ok(node.trees.length <= LIMITS.treesAskingKept);
  const all = await Array.fromAsync(approvals.all());
  assert.equal(all.length, CROWD);
  assert.equal(ids(all).size, CROWD);
  await clock.settle();
  stop.abort();
  await watching;
  assert.deepEqual(new Set(watched), ids(all));
  assert.equal(watched.length, CROWD);
  const away = all.find(({ id }) => node.peek(treeOf(id)) === undefined)!;
  await approvals.decide(away.id, { outcome: "answer", value: "yes" });
  await first.os.runUntilIdle();
  assert.equal((await Array.fromAsync(approvals.all())).length, CROWD - 1);
  await first.os.close();
  // A person who comes later is shown every one of them, once.
  const asked: string[] = [];
  const person = new ScriptedPerson(({ id }) => {
    asked.push(id);
    return { outcome: "answer", value: "so" };
  });
  const second = new World({ store, clock, seed: 2, images: [ASKER], approvals: person });
  await second.os.runUntilIdle();
  assert.equal(asked.length, CROWD - 1);
  assert.deepEqual(new Set(asked), new Set([...ids(all)].filter((id) => id !== away.id)));
  assert.equal((await second.os.trees()).length, 0);
  await second.close();
});

Deno.test("A kernel that starts opens what is ready, due or asks, and leaves the others alone", async () => {
  const store = new MortalStore(new MemoryStore(), null);
  const clock = new VirtualClock(START_MS);
  const first = new World({ store, clock });
  await first.start(SLEEPER);
  await first.start(ASKER, { grants: GRANTS });
  await first.start(RECEIVER);
  await first.os.spawn(imageOf(() => Promise.resolve(1), { name: "ready" }), { goal: "go" });
  await first.os.close();
  const second = new World({ store, clock, seed: 2, images: [SLEEPER, ASKER, RECEIVER] });
  await second.os.node.openLive(LIMITS.treesOpenedAtStartMax);
  const opened = second.os.node.trees.map(({ state }) => state.tree).sort();
  assert.deepEqual(opened, ["t_2", "t_4"]);
  assert.equal(second.os.approvals.list().length, 1);
  assert.equal((await second.os.ps()).length, 4);
  await second.os.close();
});

Deno.test("A kernel that dies at any commit around trees leaving loses nothing of them", async () => {
  for (let at = 1;; at++) {
    for (const when of ["before", "after"] as const) {
      const store = new MemoryStore();
      const clock = new VirtualClock(START_MS);
      const files = new CountedFiles();
      const given = { store, clock, files, options: { images: [RECEIVER, ASKER] } };
      const world = new MortalWorld({ ...given, life: 1, plan: { at, when } });
      const live = async (): Promise<void> => {
        await world.start(RECEIVER, { idempotencyKey: "a" });
        await world.start(ASKER, { idempotencyKey: "b", grants: GRANTS });
        await empty(world);
        await (await world.os.get("p_1"))!.send("hi");
        await empty(world);
        await world.os.runUntilIdle();
        await empty(world);
        await world.os.approvals.decide("req_2.1", { outcome: "answer", value: "so" });
        await world.os.runUntilIdle();
      };
      const died = await world.live(live).then(() => false, (error) => {
        if (!(error instanceof Died)) throw error;
        return true;
      });
      await clock.settle();
      // It came through everything: all commits were tried.
      if (!died) return assert.ok(at > 5, `only ${at} commits`);
      const next = new MortalWorld({ ...given, life: 2, plan: null });
      const one = await next.start(RECEIVER, { idempotencyKey: "c" });
      await one.signal("kill");
      for (const { tree, seq } of await next.os.trees()) {
        if (seq === 0) continue;
        const pid = `p_${tree.slice(2)}`;
        const process = (await next.os.get(pid))!;
        if ((await process.info()).image.startsWith("receiver")) await process.send("hi");
        else await next.os.approvals.decide(`req_${tree.slice(2)}.1`, ANSWER).catch(() => {});
        await next.os.runUntilIdle();
        assert.ok((await process.wait()).ok, `${at} ${when} ${pid}`);
      }
      await next.close();
    }
  }
});

const ANSWER = { outcome: "answer", value: "so" } as const;
