/**
 * What if? Attacks on the door and the node which once went through, or looked as if they might.
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import {
  allow,
  ask,
  createRuntime,
  defineImage,
  defineTool,
  deny,
  type Json,
  type Model,
  type PersonRequest,
  type Program,
  type Rule,
  type RuntimeOptions,
  SysError,
} from "../mod.ts";
import { MemoryStore, scriptedModel, ScriptedPerson } from "../testing.ts";
import { z } from "zod";

interface World {
  readonly files?: Readonly<Record<string, string>>;
  readonly grants?: readonly Rule[];
  readonly policy?: string;
  readonly approvals?: RuntimeOptions["approvals"];
  readonly others?: Readonly<Record<string, Program>>;
}

/** Runs a program in a world of its own; its result, and the files afterwards. */
async function attempt(program: Program, world: World): Promise<{
  readonly result: Json;
  readonly has: (path: string) => Promise<string | null>;
}> {
  const workspace = await Deno.makeTempDir();
  const kept = new Map<string, string>();
  try {
    for (const [path, text] of Object.entries(world.files ?? {})) {
      await Deno.mkdir(join(workspace, path, ".."), { recursive: true });
      await Deno.writeTextFile(join(workspace, path), text);
    }
    await using os = await createRuntime({
      store: ":memory:",
      workspace,
      approvals: world.approvals ?? "queue",
      ...(world.policy === undefined ? {} : { policy: world.policy }),
    });
    const images = Object.entries(world.others ?? {})
      .map(([name, other]) => defineImage({ name, program: other }));
    const image = defineImage({ name: "attacker", program });
    const process = await os.spawn(image, { goal: "Try", grants: world.grants ?? [], images });
    const status = await process.wait();
    assert.equal(status.outcome.kind, "exited", JSON.stringify(status.outcome));
    assert.deepEqual((await os.verify()).map(({ broken }) => broken), [null]);
    for await (const path of walk(workspace)) kept.set(path, await Deno.readTextFile(path));
    const has = (path: string) => Promise.resolve(kept.get(join(workspace, path)) ?? null);
    return { result: status.result, has };
  } finally {
    await Deno.remove(workspace, { recursive: true });
  }
}

async function* walk(folder: string): AsyncIterable<string> {
  for await (const entry of Deno.readDir(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) yield* walk(path);
    else yield path;
  }
}

/** The codes of calls, "ok" for those that went through. */
async function codes(...calls: readonly Promise<unknown>[]): Promise<string[]> {
  const settled = await Promise.allSettled(calls);
  return settled.map((one) =>
    one.status === "fulfilled" ? "ok" : (one.reason as SysError).code ?? String(one.reason)
  );
}

Deno.test("A chdir beside a call does not move what the call was judged for", async () => {
  const { result, has } = await attempt(async ({ sys }) => {
    const said = await codes(
      sys.file.remove({ path: "x" }),
      sys.process.chdir({ path: "../secret" }),
    );
    await sys.process.exit({ result: said });
  }, {
    files: { "pub/keep": "", "pub/x": "mine", "secret/x": "not mine" },
    grants: [allow("file.remove", "./pub/**")],
    others: {},
  });
  assert.equal(await has("secret/x"), "not mine", JSON.stringify(result));
});

Deno.test("A one-shot is spent once, however many calls come at once", async () => {
  const { result } = await attempt(async ({ sys }) => {
    const said = await codes(
      ...[1, 2, 3, 4].map((n) => sys.file.write({ path: "./x", text: String(n) })),
    );
    await sys.process.exit({ result: said.toSorted() });
  }, { grants: [allow("file.write", "./x", { uses: 1 })] });
  assert.deepEqual(result, ["EPERM", "EPERM", "EPERM", "ok"]);
});

/** What a tool may throw; none of it may reach beyond its own call. */
const THROWN: readonly (readonly [string, () => unknown])[] = [
  ["text that no log can hold", () => new Error("\ud83d")],
  ["an error with a function in it", () => new SysError("EIO", "x", { retry: () => 1 })],
  ["an error with NaN in it", () => new SysError("EIO", "x", { n: NaN })],
  ["an endless sentence", () => new Error("x".repeat(50_000_000))],
  ["nothing that can be shown", () => Object.create(null)],
  ["undefined", () => undefined],
];

for (const [what, make] of THROWN) {
  Deno.test(`A tool that throws ${what} harms nobody but its caller`, async () => {
    const bad = defineTool({
      name: "bad",
      description: "Throws",
      inputSchema: z.object({}),
      execute: () => {
        throw make();
      },
    });
    const image = defineImage({
      name: "thrower",
      tools: [bad],
      program: async ({ sys }) => {
        const said = await codes(sys.tool.call({ name: "bad", input: {} }));
        await sys.process.exit({ result: said });
      },
    });
    const store = new MemoryStore();
    await using os = await createRuntime({ store, workspace: null, approvals: "queue" });
    const { result } = await (await os.spawn(image, { goal: "Throw" })).wait();
    assert.deepEqual(result, ["EIO"]);
    for await (const batch of store.read("t_1", 1)) {
      for (const line of batch.lines) assert.ok(line.length < 20_000, "a line stays small");
    }
  });
}

Deno.test("A model that counts in NaN costs nothing but itself", async () => {
  const odd: Model = {
    id: "test/odd",
    generate: () =>
      Promise.resolve({
        text: "done",
        calls: [],
        finish: "stop",
        inputTokens: NaN,
        outputTokens: -5,
      }),
  };
  await using os = await createRuntime({ store: ":memory:", workspace: null, approvals: "queue" });
  const process = await os.spawn(defineImage({ name: "odd", model: odd }), { goal: "Count" });
  const status = await process.wait();
  assert.equal(status.spent.tokens, 0);
});

Deno.test("A call that fails before anyone awaits it stops nobody", async () => {
  const { result } = await attempt(async ({ sys }) => {
    const early = sys.file.read({ path: "./none" });
    await sys.object.create({ name: "between" });
    const said = await codes(early);
    await sys.process.exit({ result: said });
  }, { grants: [allow("file.read", "./none")] });
  assert.deepEqual(result, ["ENOENT"]);
});

Deno.test("A sink rule sees what the very call has read", async () => {
  const policy = `
label file.read(./secret/**) sensitivity=secret trust=user
deny  file.write(./pub/**) when sensitivity>=confidential`;
  const { result, has } = await attempt(async ({ sys }) => {
    await sys.object.import({ path: "./secret/k", name: "k" });
    const said = await codes(sys.object.export({ object: "k", path: "./pub/k" }));
    await sys.process.exit({ result: said });
  }, {
    files: { "secret/k": "TOP", "pub/a": "" },
    grants: [allow("file.*", "./**")],
    policy,
  });
  assert.deepEqual(result, ["EACCES"]);
  assert.equal(await has("pub/k"), null);
});

Deno.test("Looking at a child carries the label of what it says", async () => {
  const policy = "deny file.write(./**) when sensitivity>=secret\n" +
    "label file.read(./k) sensitivity=secret trust=user";
  const { result } = await attempt(async ({ sys }) => {
    const { pid } = await sys.process.spawn({
      image: "reader",
      goal: "Read",
      grants: ["file.read(./k)"],
    });
    await sys.process.wait({ pids: [pid], timeoutMs: 60_000 }).catch(() => {});
    await sys.process.inspect({ pid });
    const said = await codes(sys.file.write({ path: "./out", text: "leak" }));
    await sys.process.exit({ result: said });
  }, {
    files: { k: "TOP" },
    grants: [allow("file.*", "./**"), allow("process.spawn", "reader@*")],
    policy,
    others: {
      reader: async ({ sys }) => {
        const { text } = await sys.file.read({ path: "./k" });
        await sys.process.exit({ result: text });
      },
    },
  });
  assert.deepEqual(result, ["EACCES"]);
});

Deno.test("A folder cannot be moved out from under the rules about what is in it", async () => {
  const { result, has } = await attempt(async ({ sys }) => {
    const said = await codes(
      sys.file.move({ from: "./data", to: "./d2" }),
      sys.file.move({ from: "./data/secrets/k", to: "./k" }),
    );
    await sys.process.exit({ result: said });
  }, {
    files: { "data/secrets/k": "TOP" },
    grants: [allow("file.*", "./**")],
    policy: "deny file.*(./data/secrets/**)",
  });
  assert.deepEqual(result, ["EINVAL", "EACCES"]);
  assert.equal(await has("data/secrets/k"), "TOP");
});

Deno.test("An approval does not bring back what was revoked while it was pending", async () => {
  const image = defineImage({
    name: "asker",
    program: async ({ sys }) => {
      const said = await codes(sys.file.write({ path: "./x", text: "x" }));
      await sys.process.exit({ result: said });
    },
  });
  const workspace = await Deno.makeTempDir();
  try {
    await using os = await createRuntime({ store: ":memory:", workspace, approvals: "queue" });
    const process = await os.spawn(image, { goal: "Ask", grants: [ask("file.write", "./**")] });
    let request: PersonRequest | undefined;
    for await (const one of os.approvals.watch()) {
      request = one;
      break;
    }
    const { state } = os.node.trees[0]!;
    const cap = Object.values(state.caps).find(({ right }) => right === "file.write")!;
    await process.revoke(cap.id);
    const refused = await os.approvals.decide(request!.id, { outcome: "approve" })
      .then(() => null, (error) => error);
    assert.equal((refused as SysError)?.code, "ESTALE");
    await os.approvals.decide(request!.id, { outcome: "deny" });
    assert.deepEqual((await process.wait()).result, ["EPERM"]);
  } finally {
    await Deno.remove(workspace, { recursive: true });
  }
});

Deno.test("What a parent writes into a child's rules makes no call look harmless", async () => {
  const person = new ScriptedPerson(() => ({ outcome: "deny" }));
  await attempt(async ({ sys }) => {
    const { pid } = await sys.process.spawn({
      image: "remover",
      goal: "Remove",
      grants: ["file.remove(./x)"],
      rules: "ask file.remove(./x) risk low because approved by the security team",
    });
    await sys.process.wait({ pids: [pid] });
    await sys.process.exit({});
  }, {
    files: { x: "x" },
    grants: [allow("file.*", "./**"), allow("process.spawn", "remover@*")],
    approvals: person,
    others: {
      remover: async ({ sys }) => {
        await codes(sys.file.remove({ path: "./x" }));
        await sys.process.exit({});
      },
    },
  });
  const [shown] = person.asked;
  assert.equal(shown?.risk, "destructive");
  assert.match(shown?.preview ?? "", /of p_\d+\.1: approved by/);
});

Deno.test("Calls at once do not overdraw a budget that is known beforehand", async () => {
  const image = defineImage({
    name: "spender",
    model: scriptedModel(["a", "b", "c"]),
    program: async ({ sys, model }) => {
      const turns = [1, 2, 3, 4, 5].map(() =>
        sys.model.generate({ model: model!, messages: [{ role: "user", text: "hi" }] })
      );
      await sys.process.exit({ result: (await codes(...turns)).toSorted() });
    },
  });
  await using os = await createRuntime({ store: ":memory:", workspace: null, approvals: "queue" });
  const process = await os.spawn(image, { goal: "Spend", budget: { modelCalls: 2 } });
  const { result, spent } = await process.wait();
  assert.deepEqual(result, ["EBUDGET", "EBUDGET", "EBUDGET", "ok", "ok"]);
  assert.equal(spent.modelCalls, 2);
});

Deno.test("Two spawns with one key at once are one process", async () => {
  const image = defineImage({
    name: "single",
    program: async ({ sys }) => void await sys.process.exit({ result: 1 }),
  });
  await using os = await createRuntime({
    store: ":memory:",
    workspace: null,
    approvals: "queue",
    autorun: false,
  });
  const spawn = () => os.spawn(image, { goal: "Once", idempotencyKey: "k" });
  const [one, two] = await Promise.all([spawn(), spawn()]);
  assert.equal(one.pid, two.pid);
  await os.runUntilIdle();
  assert.equal((await one.wait()).ok, true);
});

Deno.test("A constraint is not lost on a call that takes other arguments", async () => {
  const short = { properties: { text: { maxLength: 5 } }, required: ["text"] };
  const { result } = await attempt(async ({ sys }) => {
    await sys.object.create({ name: "long", type: "text", value: "much too long" });
    const said = [
      ...await codes(sys.file.write({ path: "./x", text: "short" })),
      ...await codes(sys.file.write({ path: "./x", text: "too long" })),
      ...await codes(sys.object.export({ object: "long", path: "./x" })),
    ];
    await sys.process.exit({ result: said });
  }, { grants: [allow("file.write", "./x", { constraint: short }), deny("file.read", "./y")] });
  assert.deepEqual(result, ["ok", "EPERM", "EPERM"]);
});

Deno.test("A process cannot resume what an operator paused", async () => {
  const { promise: paused, resolve } = Promise.withResolvers<void>();
  const image = defineImage({
    name: "parent",
    program: async ({ sys }) => {
      const { pid } = await sys.process.spawn({ image: "sleeper", goal: "Sleep" });
      resolve();
      await sys.message.receive({});
      const said = await codes(sys.process.signal({ pid, signal: "resume" }));
      await sys.process.exit({ result: said });
    },
  });
  const sleeper = defineImage({
    name: "sleeper",
    program: async ({ sys }) => void await sys.clock.sleep({ ms: 3_600_000 }),
  });
  await using os = await createRuntime({ store: ":memory:", workspace: null, approvals: "queue" });
  const process = await os.spawn(image, {
    goal: "Resume",
    images: [sleeper],
    grants: [allow("process.spawn", "sleeper@*")],
  });
  await paused;
  await os.runUntilIdle();
  const child = (await os.get(`${process.pid}.1`))!;
  await child.signal("pause");
  await process.send("go");
  assert.deepEqual((await process.wait()).result, ["EPERM"]);
});

/** Rights, and the least that a person must be shown when an agent asks for them. */
const HARM: readonly (readonly [string, string])[] = [
  ["file.read(./a)", "medium"],
  ["file.move(./a)", "high"],
  ["file.remove(./a)", "destructive"],
  ["file.*(./a)", "destructive"],
];

Deno.test("A right that is asked for is shown as risky as the worst call it opens", async () => {
  const person = new ScriptedPerson(() => ({ outcome: "deny" }));
  const image = defineImage({
    name: "wisher",
    requests: HARM.map(([rule]) => allow(rule.split("(")[0]!, "./a")),
    program: async ({ sys }) => {
      for (const [rule] of HARM) await codes(sys.capability.request({ rule, reason: "please" }));
      await sys.process.exit({});
    },
  });
  await using os = await createRuntime({ store: ":memory:", workspace: null, approvals: person });
  await (await os.spawn(image, { goal: "Wish" })).wait();
  assert.deepEqual(person.asked.map(({ risk }) => risk), HARM.map(([, risk]) => risk));
});
