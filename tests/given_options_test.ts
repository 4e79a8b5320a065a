/**
 * Options of runtimes, images and tools, as callers without types give them: nothing is opened or
 * defined with what nobody could mean.
 * @module
 */

import assert from "node:assert/strict";
import { allow, createRuntime, defineImage, defineTool } from "../mod.ts";
import { scriptedModel } from "../testing.ts";

/** What is given besides what is right, and what is said of it. */
type Row = readonly [given: Record<string, unknown>, message: RegExp];

const RUNTIMES: readonly Row[] = [
  [{ stroe: "x" }, /with "stroe": unknown, expected one of store, .*did you mean "store"\?/],
  [{ polcy: "deny file.*" }, /"polcy": unknown, .*did you mean "policy"\?/],
  [{ store: 5 }, /store "5" is no store, expected a path/],
  [{ store: null }, /store is no store/],
  [{ store: "" }, /store "" is no store/],
  [{ workspace: 5 }, /workspace "5" is no folder, expected its path, or null for none/],
  [{ approvals: "denny" }, /approvals "denny" is unknown, expected queue or terminal or deny or/],
  [{ approvals: null }, /approvals is unknown/],
  [{ approvals: {} }, /approvals .*is unknown, .*a function or an object with ask\(\)/],
  [{ policy: 5 }, /policy are no rules/],
  [{ images: ["idle"] }, /images are no images, expected an array of what defineImage\(\) gives/],
  [{ models: ["a/b"] }, /models are no models/],
  [{ models: [{}] }, /models are no models/],
  [{ skills: "./skills" }, /skills are no list/],
  [{ hooks: 5 }, /hooks are no list/],
  [{ destructiveApprovers: 3 }, /destructiveApprovers "3" is unknown, expected 1 or 2/],
  [{ escalateMs: "soon" }, /escalateMs "soon" is out of range/],
  [{ onBudget: "stop" }, /onBudget "stop" is unknown, expected ask or fail/],
  [{ durability: "high" }, /durability "high" is unknown, expected power or process/],
  [{ autorun: "no" }, /autorun "no" is no switch, expected true or false/],
  [{ programs: 1 }, /programs "1" is no switch/],
  [{ jit: { isolation: "jial" } }, /isolation "jial" is unknown, expected process or jail or/],
  [{ jit: { reveiw: "never" } }, /"reveiw": unknown, .*did you mean "review"\?/],
  [{ operator: 5 }, /operator "5" is no text/],
];

Deno.test("A runtime is not made with options that nobody could mean", async () => {
  const folder = await Deno.makeTempDir();
  const store = `${folder}/libos.db`;
  for (const [given, message] of RUNTIMES) {
    const options = { store, workspace: null, approvals: "queue", ...given } as const;
    await assert.rejects(createRuntime(options as never), { code: "EINVAL", message });
  }
  await assert.rejects(createRuntime(null as never), { code: "EINVAL", message: /no options/ });
  assert.deepEqual([...Deno.readDirSync(folder)], []);
  await Deno.remove(folder, { recursive: true });
});

const schema = {
  "~standard": {
    version: 1,
    vendor: "none",
    validate: (value: unknown) => ({ value }),
    jsonSchema: { input: () => ({ type: "object" }) },
  },
} as const;
const TOOL = { name: "idle", description: "Idle", inputSchema: schema, execute: () => null };

const IMAGES: readonly Row[] = [
  [{ name: undefined }, /no name, expected a string that is not empty/],
  [{ name: 5 }, /name "5" is no text/],
  [{ version: 1 }, /version "1" is no text/],
  [{ toolz: [] }, /with "toolz": unknown, .*did you mean "tools"\?/],
  [{ tools: 5 }, /tools are no tools, expected an array of what defineTool\(\) gives/],
  [{ tools: [{ name: "t" }] }, /tools are no tools/],
  [{ model: 5 }, /model "5" is unknown, expected a model, or provider\/model/],
  [{ model: {} }, /model is unknown/],
  [{ requests: ["file.read"] }, /requests are no rules, expected an array of what allow\(\) gives/],
  [{ program: "main" }, /program "main" is no function/],
  [{ maxSteps: -1 }, /maxSteps "-1" is out of range/],
  [{ maxSteps: NaN }, /maxSteps "NaN" is out of range/],
  [{ libc: "file_read" }, /libc are no list/],
  [{ nodeSelector: { gpu: true } }, /nodeSelector are no texts by their names/],
  [{ onBudget: "stop" }, /onBudget "stop" is unknown/],
];

Deno.test("An image is not defined with what nobody could mean", () => {
  const good = { name: "idle", instructions: "", tools: [defineTool(TOOL)] };
  const more = { model: scriptedModel([]), requests: [allow("file.read")], maxSteps: 1 };
  assert.equal(defineImage({ ...good, ...more }).ref, "idle@1");
  for (const [given, message] of IMAGES) {
    const job = () => defineImage({ ...good, ...given } as never);
    assert.throws(job, { code: "EINVAL", message });
  }
  assert.throws(() => defineImage(undefined as never), { code: "EINVAL" });
});

const TOOLS: readonly Row[] = [
  [{ name: 5 }, /name "5" is no text/],
  [{ name: "a tool" }, /Cannot define tool "a tool": expected letters/],
  [{ inputSchema: undefined }, /no inputSchema, expected a Standard Schema/],
  [{ execute: undefined }, /no execute, expected a function/],
  [{ description: 5 }, /description "5" is no text/],
  [{ inputSchema: {} }, /inputSchema is no schema, expected a Standard Schema/],
  [{ inputJsonSchema: 5 }, /inputJsonSchema "5" is unknown, expected an object/],
  [{ execute: "run" }, /execute "run" is no function/],
  [{ uses: "file.read" }, /uses are no list/],
  [{ use: [] }, /with "use": unknown, .*did you mean "uses"\?/],
];

Deno.test("A tool is not defined with what nobody could mean", () => {
  for (const [given, message] of TOOLS) {
    const job = () => defineTool({ ...TOOL, ...given } as never);
    assert.throws(job, { code: "EINVAL", message });
  }
});
