/**
 * Going back and branching off, at random positions of random histories: what comes of them is what
 * the slow way gives, which folds the log from its first line and shares nothing.
 *
 * A failing seed is printed; `LIBOS_SEEDS=100 deno test` tries more of them.
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { allow, ask } from "../mod.ts";
import { SeededRandom } from "../testing.ts";
import { RIGHTS } from "../broker/table.ts";
import { branched } from "../kernel/branch.ts";
import { copied, isSame } from "../kernel/copy.ts";
import type { EventMap, Line } from "../kernel/event.ts";
import { type Pid, type TreeId, treeOf } from "../kernel/ids.ts";
import { canonical } from "../kernel/json.ts";
import { parseJson } from "../kernel/parse.ts";
import { renamed, renamedText } from "../kernel/rename.ts";
import { NOTHING_SINCE, readSince, rewind } from "../kernel/rewind.ts";
import type { Snapshot } from "../kernel/store.ts";
import { COLLECTIONS, type State } from "../kernel/state.ts";
import { Tree } from "../kernel/tree.ts";
import { MemoryStore } from "../providers/memory_store.ts";
import { KEPT } from "../runtime/idle.ts";
import { readLines } from "../runtime/load.ts";
import type { AgentProcess } from "../runtime/process.ts";
import { CountedFiles, imageOf, inWorld, World } from "./world_fixture.ts";

const SEEDS = Number(Deno.env.get("LIBOS_SEEDS") ?? 12);
const ROUNDS = 30;
const GRANTS = [
  allow("object.*", "**"),
  allow("process.*", "**"),
  allow("message.send", "**"),
  allow("file.read", "./**", { uses: 9 }),
  ask("file.write", "./**"),
];

/** Does to memory, children and files what each message says. */
const ACTOR = imageOf(async ({ sys, pid }) => {
  for (;;) {
    const { messages } = await sys.message.receive({});
    const { word, n } = messages[0]!["data"] as unknown as { readonly word: string; n: number };
    const name = `o${n % 7}`;
    const job = {
      create: () => sys.object.create({ name, mutable: true, value: { n, by: pid } }),
      list: () => sys.object.create({ name: `l${n % 3}`, list: true }),
      append: () => sys.object.append({ object: `l${n % 3}`, item: `${n}`.repeat(200) }),
      delete: () => sys.object.delete({ object: name }),
      link: () => sys.object.link({ object: name, relation: "is like", to: `l${n % 3}` }),
      write: async () => {
        const { version } = await sys.object.read({ object: name });
        await sys.object.write({ object: name, value: { n }, from: version });
      },
      fork: () => sys.process.fork({ goal: `child ${n}` }),
      read: () => sys.file.read({ path: "a" }),
      ask: () => sys.file.write({ path: `f${n % 2}`, text: "x" }),
      tell: () => sys.message.send({ to: pid, data: { word: "create", n: n + 1 } }),
    }[word]!;
    await (job() as Promise<unknown>).catch(() => {});
  }
}, { name: "actor" });
const WORDS = "create create list append append delete link write write fork read ask tell".split(
  " ",
);

/** A state as the log gives it, read from its first line. */
async function foldTo(world: World, id: TreeId, seq: number): Promise<State> {
  const tree = Tree.empty(id, { rights: RIGHTS });
  for await (const line of readLines(world.store, id)) if (line.seq <= seq) tree.replay(line);
  return tree.state;
}

/** What a tree would be if it went back, and what it is: neither knows anything of the other. */
async function slowly(world: World, id: TreeId, seq: number): Promise<State> {
  const now = structuredClone((await world.tree(id)).state);
  const since = await readSince((await world.lines(id)).filter((line) => line.seq > seq));
  return rewind(await foldTo(world, id, seq), now, since);
}

/** What a line can change of a state: all but where it is. */
function partsOf(state: State): string {
  const { policy, ceiling, next } = state;
  return canonical([...COLLECTIONS.map((name) => state[name]), policy, ceiling, next]);
}

async function goBack(world: World, agent: AgentProcess, seq: number): Promise<void> {
  const expected = partsOf(await slowly(world, "t_1", seq));
  await agent.restore(seq);
  // What it ran since is not part of it: the line itself is.
  const lines = await world.lines();
  const at = lines.findLast(({ type }) => type === "tree.restored")!.seq;
  assert.equal(partsOf(await foldTo(world, "t_1", at)), expected);
}

/** The line with which a branch is what it was branched off as. */
function isGrown({ type, data }: Line): boolean {
  return type === "tree.grown" && (data as EventMap["tree.grown"]).isWhole;
}

async function branchOff(world: World, agent: AgentProcess, seq: number): Promise<void> {
  const before = (await world.tree()).dump();
  const slow = branched(structuredClone(await slowly(world, "t_1", seq)), "p_1", { goal: "other" });
  const branch = await agent.fork(seq, { goal: "other" });
  await world.tree(treeOf(branch.pid));
  assert.equal((await world.tree()).dump(), before, "the origin changed");
  const to = treeOf(branch.pid);
  const at = (await world.lines(to)).find(isGrown)!.seq;
  assert.equal(partsOf(await foldTo(world, to, at)), partsOf(renamed(slow, to)));
  assert.equal((await world.tree(to)).state.tree, to);
  for await (const { payloads } of world.store.read(to, 1)) {
    for (const text of payloads.values()) assert.equal(text, canonical(parseJson(text)));
  }
}

/** Answers what was asked, loads a policy, takes a capability away, or says something. */
async function happens(world: World, agent: AgentProcess, random: SeededRandom): Promise<void> {
  const pick = (below: number): number => random.bytes(2).reduce((a, b) => a * 256 + b) % below;
  const [request] = world.os.approvals.list().filter(({ pid }) => treeOf(pid) === "t_1");
  const { state } = await world.tree();
  const kind = pick(20);
  if (kind === 0 || kind > 15) await agent.checkpoint(`mark ${state.seq}`);
  else if (kind === 1 && request !== undefined) {
    await world.os.approvals.decide(request.id, { outcome: pick(2) === 0 ? "approve" : "deny" });
  } else if (kind === 2) {
    const text = `deny file.read(./${state.seq})`;
    await world.os.order("t_1", { kind: "policy", text, by: "operator" });
  } else if (kind === 3) {
    const caps = Object.values(state.caps).filter(({ right }) => right === "file.read");
    if (caps.length > 0) await agent.revoke(caps[pick(caps.length)]!.id);
  } else {
    const pids = Object.keys(state.processes) as Pid[];
    const to = (await world.os.get(pids[pick(pids.length)]!))!;
    await to.send({ word: WORDS[pick(WORDS.length)]!, n: pick(20) });
  }
  await world.os.runUntilIdle();
}

for (let seed = 1; seed <= SEEDS; seed++) {
  Deno.test(`Positions of a random history are what the slow way says (seed ${seed})`, async () => {
    const files = new CountedFiles();
    files.put("a", "a");
    await inWorld(async (world) => {
      const random = new SeededRandom(seed);
      const agent = await world.start(ACTOR, { grants: GRANTS });
      const born = (await world.lines()).find(({ type }) => type === "process.spawned")!.seq;
      for (let round = 0; round < ROUNDS; round++) {
        await happens(world, agent, random);
        const { seq } = (await world.tree()).state;
        // Where the tree is now, one line before, a checkpoint, and anywhere since it has a root.
        const far = born + random.bytes(1)[0]! % (seq - born);
        const { trail } = await world.tree();
        const marks = [...trail.seqs, seq];
        const mark = marks[random.bytes(1)[0]! % marks.length]!;
        const at = [seq, seq - 1, mark, mark, far][random.bytes(1)[0]! % 5]!;
        if (round % 5 === 4) await branchOff(world, agent, at);
        if (round % 7 === 6) await goBack(world, agent, at);
      }
    }, { files });
  });
}

Deno.test("Comparing and copying JSON agree with its canonical text", () => {
  const key = fc.constantFrom("a", "b", "10", "9", "constructor", "__proto__");
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      fc.constantFrom(null, 0, 1, "", "a", true),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.array(fc.tuple(key, fc.option(tie("value"), { nil: undefined })), { maxLength: 3 })
        .map((fields) => {
          const object = {};
          const open = { enumerable: true, configurable: true, writable: true };
          for (const [name, each] of fields) {
            Object.defineProperty(object, name, { value: each, ...open });
          }
          return object;
        }),
    ),
  }));
  fc.assert(
    fc.property(value, value, (one, other) => {
      assert.equal(isSame(one, other), canonical(one ?? null) === canonical(other ?? null));
      const copy = copied(one);
      assert.ok(isSame(one, copy));
      assert.deepEqual(copy, structuredClone(one));
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("Renaming texts gives what renaming values gives, whatever stands around an id", () => {
  const part = fc.constantFrom(
    ...'p_1 p_11 cap_1.5 obj_1 ck_1.2 xp_1 p_1x é _ \\ \\n " \n \t \u0001 : / 1 ,'.split(" "),
    "\\\np_1",
    '"p_1":',
    "p_7",
  );
  const words = fc.array(part, { maxLength: 4 }).map((parts) => parts.join(""));
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      words,
      fc.constantFrom(null, 0, true),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(words, tie("value"), { maxKeys: 3 }),
    ),
  }));
  let changed = 0;
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 3 }), (values) => {
      const texts = values.map(canonical);
      // Read again: of two names that become one, the later in the text stays.
      const slow = renamed(
        { tree: "t_1", values: texts.map((text) => parseJson(text)) } as never,
        "t_7",
      );
      const { values: expected } = slow as unknown as { readonly values: unknown[] };
      const text = `[${texts}]`;
      const found = renamedText(text, "t_1", "t_7");
      assert.equal(found, canonical(expected));
      if (found !== text) changed += 1;
    }),
    { numRuns: 5_000 },
  );
  assert.ok(changed > 1_000, `only ${changed} were changed`);
});

/** A value nothing of which can be changed. */
function frozen<T>(value: T): T {
  if (typeof value === "object" && value !== null) Object.values(value).forEach(frozen);
  return Object.freeze(value);
}

Deno.test("Neither going back nor branching off changes the states that it looks at", async () => {
  await inWorld(async (world) => {
    const agent = await world.start(ACTOR, { grants: GRANTS });
    for (const word of ["create", "fork", "read", "ask"]) {
      await agent.send({ word, n: 1 });
      await world.os.runUntilIdle();
    }
    const state = structuredClone((await world.tree()).state);
    const [root] = Object.values(state.processes);
    const { caps } = structuredClone(state);
    // An effect that is in doubt, whose outcome came since, and a use that was spent since.
    const intent = { seq: 9, pid: "p_1", step: root!.step, key: "9" } as never;
    root!.journal["9"] = { name: "file.write", args: {}, state: "open", intent };
    const result = { ok: true, reply: {} } as const;
    const outcome = { seq: 10, data: { ...intent as object, result } } as never;
    const since = {
      ...NOTHING_SINCE,
      uses: new Map(Object.values(caps).map(({ id }) => [id, 1])),
      outcomes: new Map([[`p_1#${root!.step}.9`, outcome]]),
    };
    const [then, now] = [frozen(structuredClone(state)), frozen({ ...state, requests: {}, caps })];
    const back = frozen(rewind(then, now, since));
    assert.equal(back.processes["p_1"]!.journal["9"]!.state, "done");
    const branch = branched(then, "p_1", { goal: "x", model: "some/model", message: "hello" });
    assert.equal(branch.processes["p_1"]!.journal["9"]!.state, "done");
    assert.equal(canonical(then), canonical(state));
  }, { files: new CountedFiles() });
});

/** A store whose older snapshots come when they are let. */
class Slow extends MemoryStore {
  asked: () => void = () => {};
  gate: Promise<void> | null = null;

  override async getSnapshot(tree: TreeId, atMost?: number): Promise<Snapshot | undefined> {
    const gate = this.gate;
    if (atMost !== undefined && gate !== null) {
      this.asked();
      await gate;
    }
    return await super.getSnapshot(tree, atMost);
  }
}

Deno.test("A tree stays in memory while it is branched off from: a policy it loads then holds", async () => {
  const store = new Slow();
  await inWorld(async (world) => {
    const agent = await world.start(ACTOR, { grants: GRANTS });
    const here = (await world.tree()).state.seq;
    await agent.send({ word: "create", n: 1 });
    await world.os.runUntilIdle();
    const asked = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    [store.asked, store.gate] = [asked.resolve, gate.promise];
    const branching = agent.fork(here);
    await asked.promise;
    store.gate = null;
    for (let turn = 0; turn < 4; turn++) {
      world.os.node.leaveIdle({ ...KEPT, quiet: 0 });
      await world.os.runUntilIdle();
    }
    const policy = "deny file.read(./a)";
    await world.os.order("t_1", { kind: "policy", text: policy, by: "operator" });
    gate.resolve();
    const branch = await branching;
    const { state } = await world.tree("t_2");
    assert.equal(state.policy.text, policy);
    assert.equal(branch.pid, "p_2");
  }, { store });
});
