/**
 * The documentation says what is so: its code runs, its tables are those of the code, its links and
 * the files it names are there.
 * @module
 */

import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { agentSource } from "../cli/new.ts";
import { formatted, pages } from "../docs/generate.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PAGES = [
  "README.md",
  "ARCHITECTURE.md",
  "CHANGELOG.md",
  "docs/decisions.md",
  "docs/approvals.md",
  "docs/durability.md",
  "docs/models.md",
  "docs/net.md",
  "docs/programs.md",
  "docs/skills.md",
  "docs/errors.md",
  "docs/policy.md",
  "docs/postgres.md",
  "docs/quickstart.md",
  "docs/scale.md",
  "docs/gate.md",
  "docs/generated-tools.md",
  "docs/syscalls.md",
  "docs/hooks.md",
  "docs/images.md",
  "docs/shell-escapes.md",
  "docs/mcp.md",
  "docs/shell.md",
  "docs/telemetry.md",
  "docs/threat-model.md",
];
/** Modules whose comments have examples; `deno test --doc` looks into no others. */
const MODULES = [
  "mod.ts",
  "testing.ts",
  "kernel/errors.ts",
  "kernel/export.ts",
  "kernel/proof.ts",
  "providers/anchor.ts",
  "providers/clock.ts",
  "providers/gate.ts",
  "providers/memory_store.ts",
  "providers/models/ai_sdk.ts",
  "providers/models/anthropic.ts",
  "providers/models/fallback.ts",
  "providers/models/openai_compatible.ts",
  "providers/models/recorded.ts",
  "providers/models/scripted.ts",
  "providers/models/simulator.ts",
  "providers/person.ts",
  "providers/random.ts",
  "providers/signing.ts",
  "providers/sqlite_store.ts",
  "runtime/auditing.ts",
  "runtime/image.ts",
  "runtime/process.ts",
  "runtime/rule.ts",
  "runtime/runtime.ts",
];
// Written by `deno task bench`, and not there before it ran.

const read = (path: string): string => Deno.readTextFileSync(join(ROOT, path));

for (const [name, page] of Object.entries(await pages())) {
  Deno.test(`docs/${name} is what docs/generate.ts writes`, async () => {
    assert.equal(read(`docs/${name}`), await formatted(page));
  });
}

/** Runs every block of code in `files`, and says what it printed. */
async function runBlocks(
  files: readonly string[],
  checks: "types" | "no types",
): Promise<{ code: number; text: string }> {
  const flags = checks === "types" ? [] : ["--no-check"];
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "--doc", ...flags, "-A", "--no-prompt", ...files],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  const text = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("\n");
  return { code, text };
}

function refuseFalse({ code, text }: { code: number; text: string }): void {
  assert.equal(code, 0, text);
  // console.assert only prints.
  assert.doesNotMatch(text, /Assertion failed/);
  const passed = Number(/(\d+) passed/.exec(text)?.[1] ?? 0);
  assert.equal(passed >= 10, true, text);
}

Deno.test("The blocks of code of all pages, and what libos new makes, have the right types, run, and claim nothing false", async () => {
  const folder = await Deno.makeTempDir();
  try {
    // With the pages: the types of all that it imports are checked once.
    await Deno.writeTextFile(`${folder}/scout.ts`, agentSource("scout"));
    const { code, text } = await runBlocks([...PAGES, `${folder}/scout.ts`], "types");
    refuseFalse({ code, text });
    assert.match(text, /Check .*scout\.ts/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

// The runner imports each module's own names into its examples, which `noUnusedLocals` refuses.
Deno.test("The examples of all modules run, and claim nothing false", async () => {
  refuseFalse(await runBlocks(MODULES, "no types"));
});

Deno.test("Every link of a page leads to a file and a heading that are there", () => {
  const wrong: string[] = [];
  for (const page of PAGES) {
    for (const [, to] of read(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(to!)) continue;
      const [path = "", heading] = to!.split("#");
      const file = path === "" ? page : join(dirname(page), path);
      if (!exists(file)) wrong.push(`${page} leads to ${file}`);
      else if (heading !== undefined && !headings(file).has(heading)) {
        wrong.push(`${page} leads to ${file}#${heading}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("Every source file that a page names is there", () => {
  const wrong = PAGES.flatMap((page) =>
    [...read(page).matchAll(/`((?:[a-z]+\/)+[a-z_]+\.ts)`/g)]
      .map((match) => match[1]!)
      .filter((file) => !exists(file))
      .map((file) => `${page} names ${file}`)
  );
  assert.deepEqual(wrong, []);
});

Deno.test("The two commands of the README are tasks", () => {
  const commands = [...read("README.md").matchAll(/^npx -y deno@[\d.]+ task (\w+)$/gm)];
  assert.deepEqual(commands.map(([, task]) => task), ["demo", "test"]);
  const { tasks } = JSON.parse(read("deno.json")) as { tasks: Record<string, unknown> };
  for (const [, task] of commands) assert.equal(task! in tasks, true, task);
});

function exists(path: string): boolean {
  try {
    Deno.statSync(join(ROOT, path));
    return true;
  } catch {
    return false;
  }
}

function headings(path: string): Set<string> {
  return new Set(
    [...read(path).matchAll(/^#+ (.+)$/gm)].map(([, text]) =>
      text!.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-")
    ),
  );
}
