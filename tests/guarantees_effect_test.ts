/**
 * G5: an effect is sent at most once for its intent, or somebody is told.
 *
 * The first kernel dies while an effect is under way: its provider never answers, and nothing of it
 * is closed. A second one opens the same store.
 * @module
 */

import assert from "node:assert/strict";
import { allow, SysError } from "../mod.ts";
import type { Json } from "../kernel/json.ts";
import type { Model, ModelReply, PersonAnswer } from "../kernel/world.ts";
import { CountedFiles, errorOf, imageOf, inWorld, START_MS, World } from "./world_fixture.ts";

const NEVER = (): Promise<never> => new Promise(() => {});
const GRANTS = [allow("file.*", "**", { uses: 1 })];

/** Writes, and says what came of it. */
const WRITER = imageOf(async ({ sys }) => {
  try {
    return `ok ${(await sys.file.write({ path: "a", text: "new" })).bytes}`;
  } catch (error) {
    assert(error instanceof SysError);
    return `${error.code}: ${error.message}`;
  }
}, { name: "writer" });

/** What happened to the file before the first kernel died. */
type Fate = "done" | "not done" | "somebody else wrote";

/** A first life in which a write never comes back; the second one, not yet run. */
async function afterDeath(fate: Fate, before: string | null = "old"): Promise<World> {
  const files = new CountedFiles();
  if (before !== null) files.put("a", before);
  const hang = (what: string): Promise<never> | undefined =>
    what === "write a" ? NEVER() : undefined;
  if (fate === "done") files.after = hang;
  else files.before = hang;
  const first = new World({ files });
  await first.os.spawn(WRITER, { goal: "x", grants: GRANTS });
  void first.os.runUntilIdle();
  await first.clock.settle();
  assert.equal(files.count("write a"), fate === "done" ? 1 : 0);
  if (fate === "somebody else wrote") files.put("a", "theirs");
  files.after = files.before = () => {};
  const { store, clock } = first;
  return new World({ store, clock, files, seed: 2, images: [WRITER] });
}

async function ending(world: World): Promise<unknown> {
  return (await world.ended((await world.os.get("p_1"))!)).result;
}

interface Recovery {
  readonly fate: Fate;
  readonly before: string | null;
  readonly writes: number;
  readonly text: string;
}

const RECOVERIES: Readonly<Record<string, Recovery>> = {
  "a write that was done is not done again": {
    fate: "done",
    before: "old",
    writes: 1,
    text: "new",
  },
  "a write that was done to a new file is not done again": {
    fate: "done",
    before: null,
    writes: 1,
    text: "new",
  },
  "a write that was not done is done once": {
    fate: "not done",
    before: "old",
    writes: 1,
    text: "new",
  },
  "a write that was not done to a new file is done once": {
    fate: "not done",
    before: null,
    writes: 1,
    text: "new",
  },
  "a write of what was there already counts as done": {
    fate: "not done",
    before: "new",
    writes: 0,
    text: "new",
  },
};

for (const [claim, { fate, before, writes, text }] of Object.entries(RECOVERIES)) {
  Deno.test(`G5 at most once, or told: ${claim}`, async () => {
    const world = await afterDeath(fate, before);
    await world.os.runUntilIdle();
    assert.match(String(await ending(world)), /^ok \d$/);
    assert.equal(world.files!.count("write a"), writes);
    assert.equal(world.files!.text("a"), text);
    assert.equal((await world.events("call.intent")).length, 1);
    const [outcome] = await world.events("call.outcome");
    assert.equal(outcome!["via"], "reconciled");
    assert.equal((await world.events("human.asked")).length, 0);
    await world.close();
  });
}

interface Doubt {
  /** What the person says; null: nothing, in time. */
  readonly says: Json;
  readonly result: RegExp;
  readonly writes: number;
  readonly via: string;
  readonly isUseBack: boolean;
}

/** What the write replied, as a person may have found out. */
const REPLY = { bytes: 3, sha256: "ab".repeat(32) };
const HAPPENED = { happened: REPLY };

const DOUBTS: readonly Doubt[] = [
  { says: HAPPENED, result: /^ok 3$/, writes: 0, via: "person", isUseBack: false },
  {
    says: "did not happen",
    result: /^EIO: Cannot finish "file\.write": a person says it did not happen$/,
    writes: 0,
    via: "person",
    isUseBack: true,
  },
  { says: "retry", result: /^ok 3$/, writes: 1, via: "person", isUseBack: false },
  {
    says: null,
    result: /^EINDOUBT: Cannot tell whether "file\.write" happened: /,
    writes: 0,
    via: "abandoned",
    isUseBack: false,
  },
];

for (const { says, result, writes, via, isUseBack } of DOUBTS) {
  Deno.test(`G5 at most once, or told: a person says ${JSON.stringify(says)} of a write in doubt`, async () => {
    const world = await afterDeath("somebody else wrote");
    await world.os.runUntilIdle();
    const [request, ...others] = world.os.approvals.list();
    assert.deepEqual(others, []);
    assert.deepEqual(request!.choices, ["happened", "did not happen", "retry"]);
    assert.match(request!.prompt, /The kernel died while "file\.write" was under way/);
    assert.equal(world.files!.text("a"), "theirs");
    if (says === null) await world.pass(3_600_000);
    else await world.os.approvals.decide(request!.id, { outcome: "answer", value: says });
    await world.os.runUntilIdle();
    assert.match(String(await ending(world)), result);
    assert.equal(world.files!.count("write a"), writes);
    const outcomes = await world.events("call.outcome");
    assert.deepEqual(outcomes.map((each) => each["via"]), [via]);
    assert.equal((outcomes[0]!["restores"] as unknown[]).length, isUseBack ? 1 : 0);
    await world.close();
  });
}

Deno.test("G5 at most once, or told: the question about a doubtful effect survives a second death", async () => {
  const second = await afterDeath("somebody else wrote");
  await second.os.runUntilIdle();
  const { store, clock, files } = second;
  const third = new World({ store, clock, files, seed: 3, images: [WRITER] });
  await third.os.ps();
  await third.os.runUntilIdle();
  const [request, ...others] = third.os.approvals.list();
  assert.deepEqual(others, []);
  await third.os.approvals.decide(request!.id, { outcome: "answer", value: HAPPENED });
  await third.os.runUntilIdle();
  assert.match(String(await ending(third)), /^ok \d$/);
  assert.equal((await third.events("human.asked")).length, 1);
  assert.equal(files!.count("write a"), 0);
  await third.close();
});

Deno.test("G5 at most once, or told: what a person says to retry is sent once, whatever dies then", async () => {
  const second = await afterDeath("somebody else wrote");
  await second.os.runUntilIdle();
  const [request] = second.os.approvals.list();
  second.files!.after = (what) => what === "write a" ? NEVER() : undefined;
  await second.os.approvals.decide(request!.id, { outcome: "answer", value: "retry" });
  void second.os.runUntilIdle();
  await second.clock.settle();
  const { store, clock, files } = second;
  assert.equal(files!.count("write a"), 1);
  files!.after = () => {};
  const third = new World({ store, clock, files, seed: 3, images: [WRITER] });
  await third.os.runUntilIdle();
  assert.match(String(await ending(third)), /^ok \d$/);
  assert.equal(files!.count("write a"), 1);
  await third.close();
});

Deno.test("G5 at most once, or told: of an effect that replies nothing a person need only say that it happened", async () => {
  const remover = imageOf(({ sys }) => sys.file.remove({ path: "a" }), { name: "remover" });
  const files = new CountedFiles();
  files.put("a", "old");
  files.before = (what) => what === "remove a" ? NEVER() : undefined;
  const first = new World({ files });
  await first.os.spawn(remover, { goal: "x", grants: GRANTS });
  void first.os.runUntilIdle();
  await first.clock.settle();
  files.put("a", "theirs");
  const { store, clock } = first;
  const world = new World({ store, clock, files, seed: 2, images: [remover] });
  await world.os.runUntilIdle();
  const [request] = world.os.approvals.list();
  assert.doesNotMatch(request!.prompt, /replied/);
  await world.os.approvals.decide(request!.id, { outcome: "answer", value: "happened" }, {
    actor: "ada",
  });
  await world.os.runUntilIdle();
  assert.deepEqual(await ending(world), {});
  assert.deepEqual((await world.events("human.answered")).map(({ by }) => by), ["ada"]);
  assert.equal(files.text("a"), "theirs");
  await world.close();
});

/** Neither its choices nor a reply of the call. */
const NO_ANSWERS: readonly Json[] = [
  "maybe",
  // A write replies something: whoever says that it happened has to know what.
  "happened",
  { happened: null },
  { happened: {} },
  { happened: { ...REPLY, bytes: "3" } },
  { happened: { ...REPLY, more: 1 } },
  { happened: REPLY, more: 1 },
  { "did not happen": REPLY },
];

Deno.test("G5 at most once, or told: a doubtful effect takes no answer but its choices", async () => {
  const world = await afterDeath("somebody else wrote");
  await world.os.runUntilIdle();
  const [request] = world.os.approvals.list();
  const decide = (answer: PersonAnswer) => world.os.approvals.decide(request!.id, answer);
  assert.equal((await errorOf(decide({ outcome: "approve" })))?.code, "EINVAL");
  for (const value of NO_ANSWERS) {
    const error = await errorOf(decide({ outcome: "answer", value }));
    assert.equal(error?.code, "EINVAL", JSON.stringify(value));
    assert.match(error.message, /say what it replied: \{"happened": \{"bytes": number, "sha256"/);
  }
  assert.equal((await world.events("human.answered")).length, 0);
  await world.os.approvals.decide(request!.id, { outcome: "deny" });
  await world.os.runUntilIdle();
  assert.match(String(await ending(world)), /^EINDOUBT/);
  await world.close();
});

for (const signal of ["kill", "cancel"] as const) {
  Deno.test(`G5 at most once, or told: a write of a process stopped by ${signal} is asked after and not repeated`, async () => {
    const files = new CountedFiles();
    files.before = (what) => what === "write a" ? NEVER() : undefined;
    const first = new World({ files });
    const process = await first.os.spawn(WRITER, { goal: "x", grants: GRANTS });
    void first.os.runUntilIdle();
    await first.clock.settle();
    await process.signal(signal);
    files.before = () => {};
    const { store, clock } = first;
    const world = new World({ store, clock, files, seed: 2, images: [WRITER] });
    await world.os.ps();
    await world.os.runUntilIdle();
    const info = await (await world.os.get("p_1"))!.info();
    assert.equal(info.outcome?.kind, signal === "kill" ? "killed" : "canceled");
    assert.equal(files.count("write a"), 0);
    const [outcome] = await world.events("call.outcome");
    assert.deepEqual([outcome!["via"], (outcome!["result"] as { code: string }).code], [
      "reconciled",
      "ECANCELED",
    ]);
    await world.close();
  });
}

Deno.test("G5 at most once, or told: a lost answer of a model is asked for again under the same key", async () => {
  const keys: string[] = [];
  const reply: ModelReply = {
    text: "hello",
    calls: [],
    finish: "stop",
    inputTokens: 1,
    outputTokens: 1,
  };
  let answers: () => Promise<ModelReply> = NEVER;
  const model: Model = {
    id: "test/model",
    generate(request) {
      keys.push(request.idempotencyKey);
      return answers();
    },
  };
  const image = imageOf(async ({ sys }) => {
    const said = await sys.model.generate({ model: "test/model", messages: [] });
    return said.text;
  }, { model });
  const first = new World();
  await first.os.spawn(image, { goal: "x" });
  void first.os.runUntilIdle();
  await first.clock.settle();
  answers = () => Promise.resolve(reply);
  const { store, clock } = first;
  const world = new World({ store, clock, seed: 2, images: [image] });
  await world.os.runUntilIdle();
  assert.equal(await ending(world), "hello");
  assert.equal(keys.length, 2);
  assert.equal(keys[0], keys[1]);
  const [outcome] = await world.events("call.outcome");
  assert.equal(outcome!["via"], "repeated");
  await world.close();
});

Deno.test("G5 at most once, or told: every effect of a tree has a key of its own", () =>
  inWorld(async (world) => {
    await world.result(async ({ sys }) => {
      await sys.file.write({ path: "a", text: "" });
      await sys.file.write({ path: "a", text: "" });
      await Promise.all([1, 2].map(() => sys.file.mkdir({ path: "d" })));
    }, { grants: [allow("file.*", "**")] });
    await world.result(async ({ sys }) => await sys.file.write({ path: "a", text: "" }), {
      grants: [allow("file.*", "**")],
    });
    const intents = [
      ...await world.events("call.intent"),
      ...await world.events("call.intent", "t_2"),
    ];
    assert.equal(new Set(intents.map((each) => each["idempotencyKey"])).size, 5);
  }));

Deno.test("G5 at most once, or told: a provider that breaks without a code leaves its effect in doubt", () =>
  inWorld(async (world) => {
    world.files!.after = () => {
      throw new Error("the cable was cut");
    };
    const said = await world.result(async ({ sys }) => {
      const error = await errorOf(sys.file.write({ path: "a", text: "" }));
      return `${error?.code}: ${error?.message}`;
    }, { grants: GRANTS });
    assert.equal(said, 'EINDOUBT: Cannot tell whether "file.write" happened: the cable was cut');
    assert.equal(world.clock.now(), START_MS);
  }));

Deno.test("G5 at most once, or told: nothing is sent before its intent is durable", () =>
  inWorld(async (world) => {
    const seen: number[] = [];
    world.files!.before = async (what) => {
      if (!what.startsWith("write")) return;
      const head = await world.store.head("t_1");
      const tree = world.os.node.trees[0]!;
      const open = Object.values(tree.state.processes["p_1"]!.journal)
        .find(({ state }) => state === "open");
      seen.push(head!.seq - (open?.state === "open" ? open.intent.seq : Infinity));
    };
    await world.result(async ({ sys }) => {
      for (const path of ["a", "b", "c"]) await sys.file.write({ path, text: "" });
    }, { grants: [allow("file.*", "**")] });
    assert.deepEqual(seen.map((ahead) => ahead >= 0), [true, true, true]);
  }));
