/**
 * Style as a test: who may import whom, what is banned and what to use instead, sizes, headers.
 *
 * Each rule has a test that it bites.
 * @module
 */

import assert from "node:assert/strict";
import { dirname, join, normalize, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Folder → what its files may import; "x (types)" for types only. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  kernel: ["kernel"],
  broker: ["kernel", "broker"],
  tools: ["tools", "broker (types)", "kernel (types)"],
  agents: ["agents", "broker (types)", "kernel"],
  sandboxes: ["kernel", "broker", "sandboxes"],
  providers: ["kernel", "providers"],
  runtime: ["kernel", "broker", "tools", "agents", "sandboxes", "providers", "runtime"],
  server: ["kernel", "broker", "providers", "runtime", "server"],
  cli: [
    "kernel",
    "broker",
    "tools",
    "agents",
    "providers",
    "runtime",
    "server",
    "cli",
    "demos",
    "mod.ts",
  ],
  demos: ["demos", "mod.ts", "testing.ts", "kernel", "agents", "providers", "runtime"],
};

/** What is banned, what to use instead, and the files that may. */
const BANNED: readonly (readonly [RegExp, string, RegExp])[] = [
  [/\bDeno\./, "a provider", /^(providers|cli|demos|tests|bench|docs|server\/console)\//],
  [/\bDate\.now\(/, "clock.now()", /^(providers|tests|bench|server\/console)\//],
  [/\bnew Date\(\)/, "clock.now()", /^(providers|tests|bench)\//],
  [/\bMath\.random\(/, "random.bytes()", /^tests\//],
  [
    /\bperformance\.now\(/,
    "clock.now()",
    /^(bench|tests|server\/console)\/|^providers\/clock\.ts$/,
  ],
  [
    /\b(setTimeout|setInterval|setImmediate)\(/,
    "clock.sleep()",
    /^(providers|tests|bench|demos|cli|server\/console)\//,
  ],
  [
    /\bJSON\.parse\(/,
    "parseJson()",
    /^(tests|bench|docs|demos|tools|server\/console)\/|^kernel\/parse|^server\/(client|answer_st)/,
  ],
  [/(?<![.\w"])fetch\(/, "a model or net provider", /^(providers|tests|server\/console)\//],
  [/: any\b|<any>|as any\b/, "unknown", /^$/],
  [/from "js[r]:|import\("js[r]:/, "npm: or node:", /^$/],
  [/\bnode:fs\b/, "a Files provider", /^(providers|tests|cli|demos|bench)\//],
  [/\b(Manager|Helper|Util|Service)\b(?=[^"]*\{)/, "a noun that says what it is", /^$/],
  [/\b(TODO|FIXME|XXX)\b/, "doing it", /^(tests|demos)\//],
];

const LINES_MAX = 400;
const FUNCTION_LINES_MAX = 60;
const COLUMNS_MAX = 100;
// Three is the aim; a fourth is the most that still reads as a sentence.
const PARAMETERS_MAX = 4;
const GENERATED = [
  "broker/calls.ts",
  "broker/port_surface.ts",
  "server/console_assets.ts",
  "server/wire.ts",
];

interface Source {
  readonly path: string;
  readonly text: string;
}

function sources(folder = ""): Source[] {
  const found: Source[] = [];
  for (const entry of Deno.readDirSync(join(ROOT, folder))) {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
    if (entry.isDirectory && path !== "demos/sample") found.push(...sources(path));
    else if (/\.tsx?$/.test(path)) {
      found.push({ path, text: Deno.readTextFileSync(join(ROOT, path)) });
    }
  }
  return found;
}

const IMPORT = /^\s*(?:import|export)\s+(type\s)?([^;]*?)from\s+"(\.[^"]+)"/gms;

/** Imports that no rule of the layout allows. */
function wrongArrows({ path, text }: Source): string[] {
  const folder = path.split("/")[0]!;
  const allowed = MAY_IMPORT[folder];
  if (allowed === undefined) return [];
  const wrong: string[] = [];
  for (const [, typeOnly, names, target] of text.matchAll(IMPORT)) {
    const to = normalize(join(dirname(path), target!));
    const place = to.includes("/") ? to.split("/")[0]! : to;
    const onlyTypes = typeOnly !== undefined ||
      /^\{\s*(type\s+\w+[^,]*,?\s*)+\}\s*$/s.test(names!.trim());
    const kept = allowed.includes(place) || (onlyTypes && allowed.includes(`${place} (types)`));
    if (!kept) wrong.push(`${path} imports ${to}`);
  }
  return wrong;
}

/** Code without comments and the insides of strings, line by line. */
function bare(text: string): string[] {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, " "))
    .split("\n")
    .map((line) => line.replace(/(^|\s)\/\/.*$/, ""));
}

function banned({ path, text }: Source): string[] {
  const wrong: string[] = [];
  for (const [i, line] of bare(text).entries()) {
    for (const [pattern, instead, except] of BANNED) {
      if (pattern.test(line) && !except.test(path)) {
        wrong.push(`${path}:${i + 1} has ${pattern.source}; use ${instead}`);
      }
    }
  }
  return wrong;
}

function tooLarge({ path, text }: Source): string[] {
  const wrong: string[] = [];
  const lines = text.split("\n");
  if (lines.length > LINES_MAX + 1) wrong.push(`${path} has ${lines.length} lines`);
  // The claims that name tests are whole sentences, and are not broken.
  if (!PRODUCT.test(path)) return wrong;
  for (const [i, line] of lines.entries()) {
    if (line.length > COLUMNS_MAX && !/https?:\/\//.test(line)) {
      wrong.push(`${path}:${i + 1} has ${line.length} columns`);
    }
  }
  return wrong;
}

const FUNCTION =
  /^( *)(?:export )?(?:async )?(?:function\*? |(?:static |override |async |get |\*)*#?[a-z]\w*(?:<[^>]*>)?\()/;

/** Functions and methods with a body over the limit, by the indent of their closing brace. */
function longFunctions({ path, text }: Source): string[] {
  const wrong: string[] = [];
  const lines = bare(text);
  for (let i = 0; i < lines.length; i++) {
    const match = FUNCTION.exec(lines[i]!);
    if (match === null || /^\s*(if|for|while|switch|return|await|throw|super)\b/.test(lines[i]!)) {
      continue;
    }
    const close = `${match[1]}}`;
    const head = lines.slice(i, i + 20);
    const open = head.findIndex((line) => new RegExp(`^${match[1]}\\S.*\\{\\s*$`).test(line));
    const over = head.findIndex((line) => /[;}]\s*$/.test(line));
    if (open < 0 || (over >= 0 && over < open)) continue;
    const end = lines.findIndex((line, at) => at > i + open && line.startsWith(close));
    const length = end - i + 1;
    if (end > 0 && length > FUNCTION_LINES_MAX) {
      wrong.push(`${path}:${i + 1} has a function of ${length} lines`);
    }
  }
  return wrong;
}

const PARAMETERS =
  /(?:function\*? \w+|^ {2}(?:static |async )*#?\w+)(?:<[^>]*>)?\(([^()]*)\)[^;]*\{$/gm;

function manyParameters({ path, text }: Source): string[] {
  const wrong: string[] = [];
  for (const [whole, list] of bare(text).join("\n").matchAll(PARAMETERS)) {
    if (/^\s*(if|for|while|switch|catch)\b/.test(whole)) continue;
    const flat = list!.replace(/[{<[][^}>\]]*[}>\]]/g, "");
    const count = flat.split(",").filter((one) => one.trim() !== "").length;
    if (count > PARAMETERS_MAX) wrong.push(`${path}: ${whole.split("\n")[0]} has ${count}`);
  }
  return wrong;
}

function headless({ path, text }: Source): string[] {
  const starts = /^(#!.*\n)?\/\*\*[\s\S]*?@module[\s\S]*?\*\//.test(text);
  return starts ? [] : [`${path} has no header with @module`];
}

const PRODUCT =
  /^(kernel|broker|tools|agents|providers|runtime|sandboxes|server|cli|demos)\/|^\w+\.ts$/;
const ALL = sources().filter(({ path }) => !GENERATED.includes(path));
const CODE = ALL.filter(({ path }) => PRODUCT.test(path));

Deno.test("Each folder imports only what the layout allows", () => {
  assert.deepEqual(CODE.flatMap(wrongArrows), []);
});

Deno.test("Nothing banned stands outside the files that may have it", () => {
  assert.deepEqual(CODE.flatMap(banned), []);
});

Deno.test("Files, lines, functions and parameter lists keep their sizes", () => {
  assert.deepEqual(ALL.flatMap(tooLarge), []);
  assert.deepEqual(CODE.flatMap(longFunctions), []);
  assert.deepEqual(CODE.flatMap(manyParameters), []);
});

Deno.test("Each file says in a header what it is", () => {
  assert.deepEqual(ALL.flatMap(headless), []);
});

Deno.test("No import goes round in a circle in kernel/, types aside", () => {
  assert.deepEqual(circles(CODE.filter(({ path }) => path.startsWith("kernel/"))), []);
});

function circles(files: readonly Source[]): string[] {
  const edges = new Map(files.map(({ path, text }) => [
    path,
    [...text.matchAll(IMPORT)]
      .filter(([, typeOnly, names]) =>
        typeOnly === undefined && !/^\{\s*(type\s+\w+[^,]*,?\s*)+\}\s*$/s.test(names!.trim())
      )
      .map(([, , , target]) => normalize(join(dirname(path), target!))),
  ]));
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) found.push([...trail.slice(trail.indexOf(path)), path].join(" → "));
    if (done.has(path) || trail.includes(path)) return;
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  return found;
}

const file = (path: string, text: string): Source => ({ path, text });
const BITES: readonly (readonly [string, readonly string[]])[] = [
  ["an arrow up", wrongArrows(file("kernel/x.ts", 'import { a } from "../broker/a.ts";'))],
  [
    "a value where types may be",
    wrongArrows(file("tools/x.ts", 'import { a } from "../broker/a.ts";')),
  ],
  ["ambient authority", banned(file("kernel/x.ts", "Deno.exit(1);"))],
  ["a global clock", banned(file("broker/x.ts", "const now = Date.now();"))],
  ["a global fetch", banned(file("broker/x.ts", "await fetch(url);"))],
  ["any", banned(file("kernel/x.ts", "let x: any;"))],
  ["a long file", tooLarge(file("kernel/x.ts", "\n".repeat(LINES_MAX + 1)))],
  ["a wide line", tooLarge(file("kernel/x.ts", "x".repeat(COLUMNS_MAX + 1)))],
  [
    "a long function",
    longFunctions(file("kernel/x.ts", `function a() {\n${"  b();\n".repeat(60)}}`)),
  ],
  [
    "many parameters",
    manyParameters(file("kernel/x.ts", "function f(a: A, b: B, c: C, d: D, e: E) {")),
  ],
  ["a missing header", headless(file("kernel/x.ts", "export {};"))],
  [
    "a circle",
    circles([
      file("kernel/a.ts", 'import { b } from "./b.ts";'),
      file("kernel/b.ts", 'import { a } from "./a.ts";'),
    ]),
  ],
];

for (const [what, found] of BITES) {
  Deno.test(`The tidy rules find ${what}`, () => assert.equal(found.length > 0, true));
}

Deno.test("The tidy rules let types through where types may be", () => {
  const text = 'import type { a } from "../broker/a.ts";\nimport { type b } from "../broker/b.ts";';
  assert.deepEqual(wrongArrows(file("tools/x.ts", text)), []);
});

Deno.test("Nothing names a build machine's folders", () => {
  const wrong = ALL.filter(({ text }) => /["'`]\/(work|root|home)\//.test(text));
  assert.deepEqual(wrong.map(({ path }) => relative(ROOT, join(ROOT, path))), []);
});
