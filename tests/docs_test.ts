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
import { program } from "./docs_blocks.ts";

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
const FOLDERS = [
  "kernel",
  "broker",
  "tools",
  "agents",
  "sandboxes",
  "providers",
  "runtime",
  "server",
];

/** Modules of the package; an example may be in the comments of each. */
function modules(folder = ""): string[] {
  return [...Deno.readDirSync(join(ROOT, folder))].flatMap(({ name, isDirectory }) => {
    const path = join(folder, name);
    if (isDirectory) return folder !== "" || FOLDERS.includes(name) ? modules(path) : [];
    return /\.tsx?$/.test(name) && !name.startsWith("console_assets") ? [path] : [];
  }).sort();
}

const read = (path: string): string => Deno.readTextFileSync(join(ROOT, path));

for (const [name, page] of Object.entries(await pages())) {
  Deno.test(`docs/${name} is what docs/generate.ts writes`, async () => {
    assert.equal(read(`docs/${name}`), await formatted(page));
  });
}

Deno.test("The blocks of code of all pages and modules, and what libos new makes, have the right types, run, and claim nothing false", async () => {
  const folder = await Deno.makeTempDir({ prefix: "libos-docs-" });
  try {
    const { path, names } = await program(ROOT, [...PAGES, ...modules()], folder);
    assert.equal(names.length >= 88, true, `There are ${names.length} blocks`);
    await Deno.writeTextFile(`${folder}/scout.ts`, agentSource("scout"));
    const made = `Deno.test("libos new", async () => void await import("./scout.ts"));\n`;
    await Deno.writeTextFile(path, made, { append: true });
    // What examples leave in folders of their own goes with this one.
    await Deno.mkdir(`${folder}/tmp`);
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["test", "-A", "--no-prompt", `--config=${ROOT}/deno.json`, path],
      cwd: ROOT,
      env: { NO_COLOR: "1", TMPDIR: `${folder}/tmp` },
    }).output();
    const text = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("\n");
    assert.equal(code, 0, text);
    assert.doesNotMatch(text, /Assertion failed/);
    assert.match(text, new RegExp(`\\b${names.length + 1} passed`));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
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
