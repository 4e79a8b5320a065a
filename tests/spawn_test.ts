/**
 * A tree that nobody could mean is refused before it is made: nothing of it is in the store.
 * @module
 */

import assert from "node:assert/strict";
import { type AgentImage, allow, ask, createRuntime, deny, type Runtime } from "../mod.ts";
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
  [{ input: { n: NaN } }, /encode NaN/],
  [{ priority: NaN }, /encode NaN/],
  [{ images: ["idle"] }, /tree from "idle": no image, expected what defineImage/],
];

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
  await refuses(os, os.spawn(image, undefined as unknown as { goal: string }), /no options/);
  const budget = { tokens: 0, usd: 0.5, bytes: undefined, wallClock: "5m" } as const;
  const rights = ["file.read", "file.*", "*", "mcp.box.*", "mcp.b*", "tool.limit"];
  const grants = rights.map((right) => allow(right));
  const made = await os.spawn(image, { goal: "g", budget, grants });
  assert.equal(made.pid, "p_1");
});
