/**
 * Attacks through the port: a cage that is broken, or a tool that means harm, asks for anything.
 * @module
 */

import assert from "node:assert/strict";
import { allow, type Json } from "../mod.ts";
import { scriptedModel } from "../testing.ts";
import { CAGE_LIMITS } from "../kernel/limits.ts";
import { drive, type FakeBody, type FakeOs, FakeWorkshop, Fate, install } from "./fake_sandbox.ts";
import { type Body, codeOf, errorOf, imageOf, inWorld } from "./world_fixture.ts";

const RIGHTS = ["file.*(./**)", "object.*", "human.ask"];
const GRANTS = [allow("tool.register", "**"), allow("file.*", "./**"), allow("human.ask", "**")];
const LARGE = CAGE_LIMITS.argumentBytes + 1;

function shopOf(body: FakeBody): FakeWorkshop {
  return FakeWorkshop.of({ tool: body });
}

const CALLING: Body = async ({ sys }) => {
  await install(sys, "tool", { rights: RIGHTS });
  return (await sys.tool.call({ name: "tool" })).output;
};

function deep(levels: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < levels; i++) value = [value];
  return value;
}

function cyclic(): unknown {
  const value: Record<string, unknown> = { path: "a" };
  value["self"] = value;
  return value;
}

const ODD: readonly (readonly [claim: string, name: unknown, args: unknown, code: string])[] = [
  ["a name of Object.prototype", "constructor", {}, "ENOSYS"],
  ["the prototype itself", "__proto__", {}, "ENOSYS"],
  ["a method of Map", "get", {}, "ENOSYS"],
  ["an empty name", "", {}, "ENOSYS"],
  ["a name with a zero in it", "file.read\0", {}, "ENOSYS"],
  ["a name in capitals", "FILE.READ", {}, "ENOSYS"],
  ["a name of a megabyte", "x".repeat(LARGE), {}, "ENOSYS"],
  ["a lone surrogate for a name", "\ud800", {}, "ENOSYS"],
  ["tool.call", "tool.call", { name: "tool" }, "EPERM"],
  ["arguments that are null", "file.read", null, "EINVAL"],
  ["arguments that are a list", "file.read", [], "EINVAL"],
  ["arguments that are a text", "file.read", "a", "EINVAL"],
  ["a number that is none", "object.create", { name: "x", value: NaN }, "EINVAL"],
  ["an endless number", "object.create", { name: "x", value: Infinity }, "EINVAL"],
  ["an argument too many", "file.read", { path: "a", force: true }, "EINVAL"],
  [
    "a field __proto__",
    "file.read",
    JSON.parse('{"path":"a","__proto__":{"isAdmin":true}}'),
    "EINVAL",
  ],
  ["arguments that are their own part", "object.create", cyclic(), "ELIMIT"],
  ["arguments too deep", "object.create", { name: "x", value: deep(1_000) }, "ELIMIT"],
  ["arguments too large", "object.create", { name: "x", value: "x".repeat(LARGE) }, "ELIMIT"],
  ["a value with a getter", "file.read", {
    get path() {
      return "a";
    },
  }, "EINVAL"],
  ["a function", "object.create", { name: "x", value: () => 1 }, "EINVAL"],
  ["a lone surrogate in a path", "file.read", { path: "\ud800" }, "EINVAL"],
];

for (const [claim, name, args, code] of ODD) {
  Deno.test(`A tool that asks with ${claim} is told ${code}, now and when it is run again`, () => {
    const traces: string[] = [];
    const tool = async (_: Json, os: FakeOs): Promise<Json> => {
      traces.push(await codeOf(os.call(name as string, args as Json)));
      await os.call("human.ask", { prompt: "?" });
      return await codeOf(os.call("object.create", { name: "after", value: 1 }));
    };
    return inWorld(async (world) => {
      const process = await world.start(imageOf(CALLING), { grants: GRANTS });
      const [request] = world.os.approvals.list();
      await world.os.approvals.decide(request!.id, { outcome: "answer", value: "" });
      await world.os.runUntilIdle();
      assert.equal((await world.ended(process)).result, "ok");
      assert.deepEqual(traces, [code, code]);
    }, { workshop: shopOf(tool) });
  });
}

Deno.test("A call that comes after the tool returned is not heard, and leaves no line", () => {
  let later: () => Promise<unknown> = () => Promise.resolve();
  return inWorld(async (world) => {
    let isHeard = false;
    const result = await world.result(async ({ sys }) => {
      await install(sys, "tool", { rights: RIGHTS });
      const { output } = await sys.tool.call({ name: "tool" });
      later().then(() => isHeard = true, () => isHeard = true);
      await sys.clock.now();
      return output;
    }, { grants: GRANTS });
    assert.equal(result, 1);
    assert.deepEqual([isHeard, world.files!.text("late")], [false, undefined]);
    const names = (await world.events("call.done")).map(({ key }) => key);
    assert.deepEqual(names.filter((key) => String(key).startsWith("3.")), ["3.1", "3.2"]);
  }, {
    workshop: shopOf((_, os) => {
      later = () => os.call("file.write", { path: "late", text: "" });
      return 1;
    }),
  });
});

Deno.test("A call that is still on its way when the tool returns is finished, and changes nothing after", () =>
  inWorld(async (world) => {
    const result = await world.result(async ({ sys }) => {
      await install(sys, "tool", { rights: RIGHTS });
      return (await sys.tool.call({ name: "tool" })).output;
    }, { grants: GRANTS });
    assert.equal(result, "returned");
    const lines = await world.lines();
    const intents = lines.filter(({ type }) => type === "call.intent").length;
    assert.equal(lines.filter(({ type }) => type === "call.outcome").length, intents);
  }, {
    workshop: shopOf((_, os) => {
      for (let i = 0; i < 10; i++) {
        os.call("file.write", { path: `f${i}`, text: "" }).catch(() => {});
        os.call("clock.wait", { ms: 60_000 }).catch(() => {});
      }
      return "returned";
    }),
  }));

Deno.test("Of hundreds of calls at once no more go through than may be in flight", () =>
  inWorld(async (world) => {
    const result = await world.result(CALLING, { grants: GRANTS }) as Record<string, number>;
    assert.deepEqual(Object.keys(result).toSorted(), ["EAGAIN", "ok"]);
    assert.equal(result["EAGAIN"]! + result["ok"]!, 500);
    assert.ok(result["ok"]! <= 41, `${result["ok"]} went through at once`);
  }, { workshop: shopOf((_, os) => asking(os, 500, 500)) }));

Deno.test("A tool that asks without end is refused, and its process still has calls to make", () =>
  inWorld(async (world) => {
    const result = await world.result(CALLING, { grants: GRANTS }) as Record<string, number>;
    assert.deepEqual(Object.keys(result).toSorted(), ["ELIMIT", "ok"]);
    assert.ok(result["ok"]! > 4_000, JSON.stringify(result));
  }, { workshop: shopOf((_, os) => asking(os, 4_800, 32)) }));

/** How many of so many calls, so many at a time, come to what. */
async function asking(os: FakeOs, calls: number, atOnce: number): Promise<Json> {
  const counts: Record<string, number> = {};
  for (let made = 0; made < calls; made += atOnce) {
    await Promise.all(Array.from({ length: atOnce }, async () => {
      const code = await codeOf(os.call("random.bytes", { length: 1 }));
      counts[code] = (counts[code] ?? 0) + 1;
    }));
  }
  return counts;
}

Deno.test("What waits in a tool that was taken back waits for nothing any more", () => {
  const workshop = shopOf(async (_, os) => {
    await Promise.all(
      Array.from({ length: 20 }, () => os.call("clock.wait", { ms: 60_000 })),
    );
    return 1;
  });
  return inWorld(async (world) => {
    const process = await world.os.spawn(
      imageOf(async ({ sys }) => {
        await install(sys, "tool", { rights: RIGHTS });
        const running = codeOf(sys.tool.call({ name: "tool" }));
        while (world.clock.pending() < 20) await sys.clock.now();
        await sys.tool.unregister({ name: "tool" });
        return await running;
      }),
      { goal: "x", grants: GRANTS },
    );
    await world.os.runUntilIdle();
    assert.equal((await world.ended(process)).result, "ECANCELED");
    assert.equal(world.clock.pending(), 0);
  }, { workshop });
});

const NUMBER = { type: "number" } as const;
const LOGS = ["a", "b"];

const ENDS: readonly (readonly [claim: string, body: FakeBody, code: string, message: RegExp])[] = [
  ["returns what its schema does not allow", () => "x", "EIO", /output does not fit its schema/],
  ["returns nothing where a number is due", () => null, "EIO", /does not fit its schema/],
  [
    "throws",
    () => {
      throw new Error("no luck");
    },
    "EIO",
    /^Cannot finish tool "tool": no luck$/,
  ],
  [
    "throws what a call answered",
    (_, os) => os.call("file.read", { path: "absent" }),
    "ENOENT",
    /absent/,
  ],
  [
    "reaches a limit",
    () => {
      throw new Fate({ kind: "limit", limit: "cpuMs", logs: LOGS });
    },
    "ELIMIT",
    /^Cannot finish tool "tool": it reached the limit cpuMs$/,
  ],
  [
    "brings its cage down",
    () => {
      throw new Fate({ kind: "died", message: "the cage is gone", logs: LOGS });
    },
    "EIO",
    /^Cannot finish tool "tool": the cage is gone$/,
  ],
  ...["EREPLAY", "EFENCED", "EINTEGRITY", "toString", "EMADEUP"].map((code) =>
    [
      `throws the code ${code}, which is not its to throw`,
      () => {
        throw new Fate({ kind: "threw", message: "x", code: code as never, logs: [] });
      },
      "EIO",
      /^Cannot finish tool "tool": x$/,
    ] as const
  ),
];

for (const [claim, body, code, message] of ENDS) {
  Deno.test(`The caller of a tool that ${claim} is told ${code}, and can go on`, () =>
    inWorld(async (world) => {
      const result = await world.result(async ({ sys }) => {
        await install(sys, "tool", { rights: RIGHTS, outputSchema: NUMBER });
        const error = await errorOf(sys.tool.call({ name: "tool" }));
        await sys.object.create({ name: "after", value: 1 });
        return [error!.code, error!.message, (error!.detail ?? null) as Json];
      }, { grants: GRANTS }) as readonly [string, string, { readonly logs?: Json } | null];
      assert.equal(result[0], code);
      assert.match(result[1], message);
      if (code === "ELIMIT") assert.deepEqual(result[2], { limit: "cpuMs", logs: LOGS });
    }, { workshop: shopOf(body) }));
}

Deno.test("A tool that throws whatever it likes does not bring down the model's process", () =>
  inWorld(async (world) => {
    const image = imageOf(() => Promise.resolve(), {
      model: scriptedModel([
        {
          tool: "tool_propose",
          input: {
            name: "tool",
            description: "x",
            inputSchema: { type: "object" },
            source: "tool",
          },
        },
        ({ messages }) => {
          const { output } = messages.at(-1) as never as { output: { tool: string } };
          return { tool: "tool_register", input: { tool: output.tool } };
        },
        { tool: "tool" },
        "survived",
      ]),
    });
    const process = await world.start({
      ...image,
      program: undefined,
      data: { ...image.data, program: "model-loop" },
    }, { grants: GRANTS });
    assert.equal((await world.ended(process)).result, "survived");
  }, {
    workshop: shopOf(() => {
      throw new Fate({ kind: "threw", message: "x", code: "EREPLAY", logs: [] });
    }),
  }));

Deno.test("Output and logs that are large come through as they are, up to what a call may answer", () =>
  inWorld(async (world) => {
    const result = await world.result(async ({ sys }) => {
      await install(sys, "tool");
      const { output, logs } = await sys.tool.call({ name: "tool" });
      return [(output as string).length, logs!.length];
    }, { grants: GRANTS });
    assert.deepEqual(result, [CAGE_LIMITS.resultBytes, 1_000]);
  }, {
    workshop: shopOf((_, os) => {
      for (let i = 0; i < 1_000; i++) os.log("x".repeat(60));
      return "x".repeat(CAGE_LIMITS.resultBytes);
    }),
  }));

Deno.test("A tool that waits while nothing else happens is driven by the clock alone", () =>
  inWorld(async (world) => {
    const process = await world.os.spawn(imageOf(CALLING), { goal: "x", grants: GRANTS });
    await drive(world);
    assert.equal((await world.ended(process)).result, 30_000);
  }, {
    workshop: shopOf(async (_, os) => {
      const startMs = os.now();
      for (let i = 0; i < 3; i++) await os.call("clock.wait", { ms: 10_000 });
      return os.now() - startMs;
    }),
  }));
