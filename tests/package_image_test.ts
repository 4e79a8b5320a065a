/**
 * Images of packages: what they ask for is not what they get, and their skills are their own.
 * @module
 */

import assert from "node:assert/strict";
import { allow, createRuntime, type Runtime } from "../mod.ts";
import type { Pid } from "../kernel/ids.ts";
import { hashOf, type Json } from "../kernel/json.ts";
import type { Label } from "../kernel/label.ts";
import type { AgentImage } from "../runtime/image.ts";
import { commitImage } from "../runtime/portable.ts";
import { imageOfPackage } from "../runtime/package_image.ts";
import type { StepContext } from "../runtime/program.ts";
import { FakeWorkshop } from "./fake_sandbox.ts";
import { built, skillText, TOOL } from "./package_place.ts";
import { codeOf } from "./world_fixture.ts";

const PACKAGE = built();
const GRANTS = [allow("skill.*", "**")];

/** The image of a package, run by a program of the test in place of a model. */
async function programmed(
  program: (context: StepContext) => Promise<unknown>,
): Promise<AgentImage> {
  const image = await imageOfPackage(PACKAGE, { compiler: null });
  return {
    ...image,
    data: { ...image.data, program: "test" },
    program: async (context) => {
      await context.sys.process.exit({ result: (await program(context)) as Json });
    },
  };
}

/** Runs one; what came of it, and what the process has seen by then. */
async function ran(
  program: (context: StepContext) => Promise<unknown>,
  given: { readonly grants?: typeof GRANTS; readonly skills?: string; readonly policy?: string },
  look: (os: Runtime, pid: Pid) => Promise<void> = () => Promise.resolve(),
): Promise<{ readonly result: Json; readonly label: Label }> {
  const { skills, grants = GRANTS, policy = "" } = given;
  await using os = await createRuntime({
    store: ":memory:",
    workspace: null,
    approvals: "deny",
    policy,
    ...(skills === undefined ? {} : { skills: [skills] }),
  });
  const process = await os.spawn(await programmed(program), { goal: "go", grants });
  const status = await process.wait();
  assert.ok(status.ok, JSON.stringify(status.outcome));
  const pid = process.pid as Pid;
  await look(os, pid);
  return { result: status.result, label: os.node.trees[0]!.state.processes[pid]!.label };
}

/** A folder with a skill of the package's name, and one of its own. */
async function withFolder(job: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "libos-skills-" });
  try {
    for (const name of ["sums", "other"]) {
      await Deno.mkdir(`${folder}/${name}`);
      await Deno.writeTextFile(`${folder}/${name}/SKILL.md`, skillText(name) + "From a folder.");
    }
    await job(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("What a package needs may be asked for, and is not granted by starting it", async () => {
  const { result } = await ran(
    async ({ sys }) => [
      await codeOf(sys.skill.read({ skill: "sums" })),
      await codeOf(sys.file.read({ path: "notes/mon.md" })),
    ],
    { grants: [] },
    (os, pid) => {
      const { state } = os.node.trees[0]!;
      const image = state.images[state.processes[pid]!.image]!;
      assert.equal(image.package, PACKAGE.hash);
      assert.deepEqual(image.requests.map(({ right }) => right), ["file.read", "skill.*"]);
      assert.deepEqual(state.ceiling.map(({ right }) => right), ["file.read", "skill.*"]);
      return Promise.resolve();
    },
  );
  assert.deepEqual(result, ["EPERM", "EPERM"]);
});

Deno.test("A package's skill has the standing of its instructions; a folder's has none", () =>
  withFolder(async (folder) => {
    const own = await ran(async ({ sys }) => {
      const { skills } = await sys.skill.list({});
      const { text } = await sys.skill.read({ skill: "sums" });
      const script = await sys.skill.read({ skill: "sums", path: "scripts/sum.py" });
      await sys.skill.load({ skill: "sums" });
      return [skills.map(({ name }) => name), text.includes("From a folder"), script.text];
    }, {});
    assert.deepEqual(own.result, [["sums"], false, "print(1)\n"]);
    assert.equal(own.label.trust, "trusted");
    const both = await ran(async ({ sys }) => {
      const { text } = await sys.skill.read({ skill: "sums" });
      const { skills } = await sys.skill.list({ skill: "sums" });
      return [text.includes("From a folder"), skills.length];
    }, { skills: folder });
    assert.deepEqual(both.result, [false, 1], "the package's is taken");
    assert.equal(both.label.trust, "trusted");
    const folders = await ran(async ({ sys }) => (await sys.skill.read({ skill: "other" })).text, {
      skills: folder,
    });
    assert.equal(folders.label.trust, "untrusted");
    const listed = await ran(async ({ sys }) => (await sys.skill.list({})).skills.length, {
      skills: folder,
    });
    assert.deepEqual([listed.result, listed.label.trust], [2, "untrusted"]);
  }));

Deno.test("A rule has the last word on what a package's skill carries", async () => {
  const { label } = await ran(({ sys }) => sys.skill.read({ skill: "sums" }), {
    policy: "label skill.read(sums/**) sensitivity=internal trust=untrusted",
  });
  assert.equal(label.trust, "untrusted");
});

Deno.test("Paths of a package's skill stay in it, and what is not there is absent", async () => {
  const { result } = await ran(async ({ sys }) => [
    await codeOf(sys.skill.read({ skill: "sums", path: "../../workspace/notes/mon.md" })),
    await codeOf(sys.skill.read({ skill: "sums", path: "scripts" })),
    await codeOf(sys.skill.read({ skill: "workspace" })),
    await codeOf(sys.skill.list({ skill: "other" })),
  ], {});
  assert.deepEqual(result, ["EINVAL", "ENOENT", "ENOENT", "ENOENT"]);
});

Deno.test("An image made of a process of a package stays one of that package", async () => {
  await ran(() => Promise.resolve(1), {}, async (os, pid) => {
    const made = await commitImage(os.node, os.node.trees[0]!, pid, {
      name: "again",
      version: "1",
    });
    assert.equal(made.data.package, PACKAGE.hash);
    const { hash, ...rest } = made.data;
    assert.deepEqual([hash, made.sha256], [hashOf(rest), hashOf(rest)]);
  });
});

Deno.test("A package's tools are compiled from their source, or the image is not made", async () => {
  const compiler = FakeWorkshop.of({ [TOOL["tools/count_lines.ts"]]: () => null });
  const image = await imageOfPackage(built(TOOL), { compiler });
  assert.deepEqual(image.generated.map(({ name, rights }) => [name, rights]), [
    ["count_lines", ["file.read(./notes/**)", "object.read(**)", "clock.now"]],
  ]);
  const broken = { check: () => Promise.resolve({ ok: false as const, problems: [PROBLEM] }) };
  const refusing = { ...broken, close: () => Promise.resolve() };
  await assert.rejects(imageOfPackage(built(TOOL), { compiler: refusing }), {
    code: "EINVAL",
    message: /Cannot use tool "count_lines" of the package: 1:2 Wrong/,
  });
  const bare = await imageOfPackage(built(TOOL), { compiler: null, model: "my/model" });
  assert.deepEqual([bare.generated, bare.data.model], [[], "my/model"]);
});

const PROBLEM = { line: 1, column: 2, message: "Wrong" };
