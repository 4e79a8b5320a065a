/**
 * A tree that nobody could mean is refused before it is made: nothing of it is in the store.
 * @module
 */

import assert from "node:assert/strict";
import { type AgentImage, allow, ask, createRuntime, deny, type Runtime } from "../mod.ts";
import { LIMITS } from "../kernel/limits.ts";
import { imageOf } from "./world_fixture.ts";

const image = imageOf(() => Promise.resolve(null), { name: "idle" });
const READ = { effect: "allow", right: "file.read", resource: "./x" };

/** What is given to `spawn`, the goal besides, and what is said of it. */
const REFUSED: readonly (readonly [Record<string, unknown>, RegExp])[] = [
  [{ goal: undefined }, /image "idle@1": no goal, expected a string/],
  [{ goal: 5 }, /goal "5" is no text, expected a string/],
  [{ goal: "\ud800" }, /lone surrogate, expected Unicode text/],
  [{ budget: { tokens: -1 } }, /limit tokens to "-1": expected a number from 0/],
  [{ budget: { usd: NaN } }, /limit usd to "NaN": expected a number from 0/],
  [{ budget: { tokns: 1 } }, /limit "tokns": unknown, .*wallClock, did you mean "tokens"\?/],
  [{ budget: { wallClock: "soon" } }, /duration "soon": expected a number with ms/],
  [{ budget: null }, /budget: no object, expected limits/],
  [{ grants: "file.read" }, /grants are no list, expected an array/],
  [{ grants: ["file.read"] }, /rule "file.read": no rule, expected what allow\(\)/],
  [{ grants: [{ ...READ, effect: "alow" }] }, /rule "alow file.read\(.\/x\)": no rule/],
  [{ grants: [{ ...READ, resource: undefined }] }, /no rule, expected what allow\(\)/],
  [{ grants: [{ ...READ, uses: NaN }] }, /for NaN uses: expected a whole number from 1/],
  [{ grants: [{ ...READ, uses: -1 }] }, /for -1 uses: expected a whole number from 1/],
  [{ grants: [{ ...READ, constraint: { type: "no" } }] }, /constraint at "#\/type"/],
  [{ grants: [deny("file.*"), ask("file.read")] }, /can never match/],
  [{ grants: [allow("file.raed", "./x")] }, /no syscall "file.raed", did you mean "file.read"/],
  [{ grants: [allow("mcp.box")] }, /no syscall "mcp.box", did you mean "mcp.box.\*"/],
  [{ ceiling: [allow("fil.*")] }, /rule "allow fil.\*\(\*\*\)": no syscall "fil.\*"/],
  [{ ceiling: [{ ...READ, uses: 0 }] }, /for 0 uses: expected a whole number/],
  [{ input: { n: NaN } }, /input of a tree at "n": NaN, expected a finite number/],
  [{ input: { at: new Date(0) } }, /at "at": an instance of a class, expected a plain object/],
  [{ priority: NaN }, /priority "NaN" is out of range, expected a whole number from 1 to 100/],
  [{ priority: -1 }, /priority "-1" is out of range/],
  [{ priority: "10" }, /priority "10" is out of range/],
  [{ labels: "ops" }, /labels are no texts by their names, expected an object of strings/],
  [{ labels: { team: 1 } }, /labels are no texts by their names/],
  [{ labels: null }, /labels are no texts by their names/],
  [{ nodeSelector: { gpu: true } }, /nodeSelector are no texts by their names/],
  [{ nodeSelector: ["gpu"] }, /nodeSelector are no texts by their names/],
  [{ idempotencyKey: 5 }, /idempotencyKey "5" is no text, expected a string that is not empty/],
  [{ idempotencyKey: "" }, /idempotencyKey "" is no text/],
  [{ cwd: 5 }, /cwd "5" is no text/],
  [{ cwd: "../.." }, /path "..\/..": a way out of the workspace/],
  [{ by: "" }, /by "" is no text/],
  [{ budget: [1] }, /budget: no object, expected limits/],
  [{ grant: [] }, /tree with "grant": unknown, expected one of .*, did you mean "grants"\?/],
  [{ grants: [{ ...READ, use: 1 }] }, /with "use": unknown, .*did you mean "uses"\?/],
  [{ grants: [{ ...READ, expiresIn: "0s" }] }, /for 0s: expected at least 1ms/],
  [{ grants: [{ ...READ, delegable: "no" }] }, /delegable "no": expected true or false/],
  [{ images: ["idle"] }, /tree from "idle": no image, expected what defineImage/],
];

/** What is over a limit, and the limit. */
const OVER: readonly (readonly [Record<string, unknown>, string])[] = [
  [{ goal: "g".repeat(LIMITS.goalBytesMax + 1) }, "goalBytesMax"],
  [{ labels: labels(LIMITS.labelsPerProcessMax + 1) }, "labelsPerProcessMax"],
  [{ input: "i".repeat(LIMITS.birthBytesMax) }, "bytesMax"],
  [{ input: circle() }, "depthMax"],
];

function labels(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, "v"]));
}

function circle(): unknown {
  const inner: unknown[] = [];
  inner.push(inner);
  return inner;
}

async function refuses(os: Runtime, job: Promise<unknown>, message: RegExp): Promise<void> {
  await assert.rejects(job, { code: "EINVAL", message });
  assert.deepEqual(await os.trees({ all: true }), [], String(message));
}

Deno.test("A spawn that nobody could mean is refused, and leaves no tree behind", async () => {
  await using os = await createRuntime({ store: ":memory:", workspace: null, autorun: false });
  for (const [given, message] of REFUSED) {
    await refuses(os, os.spawn(image, { goal: "g", ...given }), message);
  }
  for (const name of ["idle", undefined, null, {}] as unknown as AgentImage[]) {
    await refuses(os, os.spawn(name, { goal: "g" }), /no image, expected what defineImage/);
  }
  for (const [given, limit] of OVER) {
    const job = os.spawn(image, { goal: "g", ...given });
    await assert.rejects(job, { code: "ELIMIT", detail: { limit } });
    assert.deepEqual(await os.trees({ all: true }), [], limit);
  }
  await refuses(os, os.spawn(image, undefined as unknown as { goal: string }), /no options/);
  const budget = { tokens: 0, usd: 0.5, bytes: undefined, wallClock: "5m" } as const;
  const rights = ["file.read", "file.*", "*", "mcp.box.*", "mcp.b*", "tool.limit"];
  const grants = rights.map((right) => allow(right));
  const goal = "g".repeat(LIMITS.goalBytesMax);
  const most = { labels: labels(LIMITS.labelsPerProcessMax), priority: 100, retainDays: null };
  const made = await os.spawn(image, { goal, budget, grants, ...most });
  assert.equal(made.pid, "p_1");
});

Deno.test("What goes with a goal is a copy, which nobody changes afterwards", async () => {
  await using os = await createRuntime({ store: ":memory:", workspace: null, autorun: false });
  const input = { list: [1] };
  const echo = imageOf(({ input }) => Promise.resolve(input), { name: "echo" });
  const process = await os.spawn(echo, { goal: "g", input });
  input.list.push(2);
  await os.runUntilIdle();
  assert.deepEqual((await process.wait()).result, { list: [1] });
});
