/**
 * Servers of tools, before any is asked: names, pins, bindings and the lock.
 * @module
 */

import assert from "node:assert/strict";
import { SysError } from "../kernel/errors.ts";
import { checkPattern, matchResource } from "../kernel/grammar.ts";
import type { Json, JsonObject } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import {
  checkServerName,
  isRepeatable,
  isToolName,
  type McpDefinition,
  type McpServer,
  pinOf,
  resourceOf,
  riskOfTool,
  toolNameFor,
  toolRight,
} from "../kernel/mcp.ts";
import { asJudged, boundTo, parseBinding } from "../kernel/mcp_binding.ts";
import {
  checkMount,
  comparedTools,
  formatLock,
  type McpMount,
  parseLock,
  pinnedTools,
  trusted,
} from "../kernel/mcp_lock.ts";

const READ: McpDefinition = {
  name: "read_text_file",
  description: "Reads a file",
  inputSchema: { type: "object", properties: { path: { type: "string" } }, required: ["path"] },
};

const MOUNT: McpMount = {
  name: "files",
  command: ["deno", "run", "server.ts", "./docs and more"],
  url: null,
  credential: null,
  env: [],
  code: [],
  areas: [{ path: "./docs", writes: false }],
  net: false,
  confined: true,
  trusted: false,
  bindings: { read_text_file: ["file.read($.path)"] },
  version: "",
  tools: {},
};

function pinned(...definitions: McpDefinition[]): McpMount {
  const tools = comparedTools(MOUNT, { version: "1", tools: definitions });
  return trusted(MOUNT, { version: "1", tools }, null);
}

function statesOf(mount: McpMount, tools: readonly McpDefinition[], version = "1"): string[] {
  return comparedTools(mount, { version, tools }).map(({ definition, state, why }) =>
    `${definition.name}: ${state}${why === "" ? "" : `, ${why}`}`
  );
}

Deno.test("comparedTools() says of each tool whether it is still what was pinned", () => {
  const write: McpDefinition = { name: "write", inputSchema: { type: "object" } };
  assert.deepEqual(statesOf(MOUNT, [READ]), ["read_text_file: new, nobody has trusted it yet"]);
  const mount = pinned(READ, write);
  assert.deepEqual(statesOf(mount, [READ, write]), ["read_text_file: pinned", "write: pinned"]);
  assert.deepEqual(statesOf(mount, [{ ...READ, description: "Reads a file. " }, write]), [
    "read_text_file: changed, changed: description",
    "write: pinned",
  ]);
  assert.deepEqual(statesOf(mount, [READ]), [
    "read_text_file: pinned",
    "write: changed, the server offers it no longer",
  ]);
  assert.deepEqual(
    statesOf(mount, [READ, write], "2")[0],
    "read_text_file: changed, changed: the server's version (2)",
  );
});

Deno.test("any byte of a definition, the version and the command are in a tool's pin", () => {
  const by = { version: "1", command: "x" };
  const pins = [
    pinOf(READ, by),
    pinOf(READ, { ...by, version: "2" }),
    pinOf(READ, { ...by, command: "y" }),
    pinOf({ ...READ, title: "" }, by),
    pinOf({ ...READ, description: "Reads a file\u200b" }, by),
    pinOf({ ...READ, inputSchema: {} }, by),
    pinOf({ ...READ, outputSchema: {} }, by),
    pinOf({ ...READ, annotations: { readOnlyHint: true } }, by),
  ];
  assert.equal(new Set(pins).size, pins.length);
});

Deno.test("a tool is refused whose name is taken twice or no right, or that hides what it means", () => {
  const odd: readonly (readonly [McpDefinition, RegExp])[] = [
    [{ ...READ, name: "a/b" }, /its name cannot be a right/],
    [{ ...READ, name: "__proto__" }, /its name cannot be a right/],
    [{ ...READ, name: "read\u200b" }, /its name cannot be a right/],
    [{ ...READ, name: "x".repeat(65) }, /its name cannot be a right/],
    [{ ...READ, name: "" }, /its name cannot be a right/],
    [{ ...READ, inputSchema: { properties: { "pa\u2060th": {} } } }, /hidden characters.*2060/],
    [{ ...READ, inputSchema: { enum: ["a", "a\u202e"] } }, /hidden characters.*202e/],
    [{ ...READ, inputSchema: { properties: { description: { const: "\u{e0041}" } } } }, /e0041/],
    [{ ...READ, description: "x".repeat(LIMITS.mcpDefinitionBytesMax) }, /its definition has/],
  ];
  for (const [definition, why] of odd) {
    const [tool] = comparedTools(MOUNT, { version: "1", tools: [definition] });
    assert.equal(tool?.state, "refused", definition.name);
    assert.match(tool.why, why);
    assert.deepEqual(trusted(MOUNT, { version: "1", tools: [tool] }, null).tools, {});
  }
  const twice = comparedTools(pinned(READ), { version: "1", tools: [READ, READ] });
  assert.deepEqual(twice.map(({ state }) => state), ["refused", "refused"]);
});

Deno.test("a server that offers more tools than there may be has none of them called", () => {
  const many = Array.from({ length: LIMITS.mcpToolsPerServerMax + 1 }, (_, i) => ({
    ...READ,
    name: `tool_${i}`,
  }));
  const tools = comparedTools(MOUNT, { version: "1", tools: many });
  assert.equal(tools.length, LIMITS.mcpToolsPerServerMax);
  assert.ok(tools.every(({ state }) => state === "refused"));
});

Deno.test("each tool of each server has one name of its own for models", () => {
  const pairs = [
    ["a", "b_c"],
    ["a", "b.c"],
    ["a", "b-c"],
    ["a-b", "c"],
    ["a", `${"x".repeat(63)}y`],
    ["a", `${"x".repeat(63)}z`],
  ] as const;
  const names = pairs.map(([server, tool]) => toolNameFor(server, tool));
  assert.equal(new Set(names).size, names.length);
  assert.ok(names.every((name) => /^[\w-]{1,64}$/.test(name)), names.join(" "));
});

Deno.test("only a name that can be a part of a right names a server or a tool", () => {
  for (const name of ["", "A", "1a", "a.b", "a*", "a/b", "a_b", "é", "x".repeat(25)]) {
    assert.throws(() => checkServerName(name), { code: "EINVAL" }, name);
  }
  for (const tool of ["read", "issues.create", "a-b_c", "X9"]) {
    assert.ok(isToolName(tool), tool);
    checkPattern({ right: toolRight("files", tool), resource: "**" });
  }
  for (const tool of ["a b", "a*", "a..b", ".a", "a.", "a/b", "-a", "_a"]) {
    assert.ok(!isToolName(tool), tool);
  }
});

const WRITTEN = ["**", "./**", "*", "a/**/b", "../..", "\u007f", "x".repeat(5_000), "/".repeat(99)];

Deno.test("no argument writes a pattern into the resource of its call (M3)", () => {
  for (const text of WRITTEN) {
    for (const args of [{ path: text }, { [text]: 1 }]) {
      const resource = resourceOf(args);
      assert.ok(!resource.includes("*"), resource);
      checkPattern({ right: "mcp.a.b", resource });
      assert.ok(matchResource("**", resource));
    }
  }
  assert.equal(resourceOf({ b: 1, a: "x" }), '{"a":"x","b":1}');
});

const here = { cwd: "./docs", root: "/srv/work" };

Deno.test("a binding names what a call reaches, and the server gets the path that was judged", () => {
  const bindings = ["file.read($.path)", "file.write($.edits[*].to)"].map(parseBinding);
  const args = {
    path: "../src/./a.ts",
    edits: [{ to: "b" }, { to: "/srv/work/c/../d" }],
    text: "../x",
  };
  assert.deepEqual(boundTo(bindings, args, here), [
    { right: "file.read", resource: "./src/a.ts" },
    { right: "file.write", resource: "./docs/b" },
    { right: "file.write", resource: "./d" },
  ]);
  assert.deepEqual(asJudged(bindings, args, here), {
    path: "/srv/work/src/a.ts",
    edits: [{ to: "/srv/work/docs/b" }, { to: "/srv/work/d" }],
    text: "../x",
  });
});

Deno.test("a bound argument that is no path in the workspace is refused before anything is sent", () => {
  const bindings = [parseBinding("file.read($.path)")];
  const odd: readonly Json[] = [
    "../../etc/passwd",
    "/etc/passwd",
    "/srv/work2/a",
    "/srv/work/../x",
    "a\u0000b",
    "a\\b",
    "**",
    "",
    7,
    null,
    ["a"],
    { toString: "a" },
  ];
  for (const path of odd) {
    assert.throws(
      () => boundTo(bindings, { path }, here),
      { code: "EINVAL" },
      JSON.stringify(path),
    );
    assert.throws(() => asJudged(bindings, { path }, here), { code: "EINVAL" });
  }
  assert.throws(() => boundTo(bindings, {}, here), { code: "EINVAL" });
  const list = [parseBinding("file.read($.paths[*])")];
  const paths = Array.from({ length: LIMITS.mcpBoundMax + 1 }, (_, i) => `f${i}`);
  assert.throws(() => boundTo(list, { paths }, here), { code: "ELIMIT" });
});

Deno.test("parseBinding() takes only a right on files and a plain way to an argument", () => {
  for (
    const text of [
      "",
      "file.read",
      "file.read()",
      "file.read(path)",
      "file.*($.path)",
      "net.fetch($.url)",
      "file.read($.path",
      "file.read($..path)",
      "file.read($.*)",
      "file.read($.a[0])",
      "file.read($[*])",
    ]
  ) assert.throws(() => parseBinding(text), { code: "EINVAL" }, text);
});

function server(isTrusted: boolean, annotations: JsonObject): McpServer {
  const definition = { ...READ, annotations };
  return {
    name: "files",
    command: "x",
    confinement: "",
    isTrusted,
    root: null,
    bindings: {},
    state: "up",
    why: "",
    version: "1",
    protocol: "",
    tools: [{ definition, pin: "", state: "pinned", found: null, why: "" }],
  };
}

Deno.test("a server's hints raise a risk, and lower it only where its owner believes them (M2)", () => {
  const cases = [
    [false, { readOnlyHint: true }, "medium", false],
    [true, { readOnlyHint: true }, "low", true],
    [false, { destructiveHint: true }, "destructive", false],
    [true, { destructiveHint: true }, "destructive", false],
    [false, { destructiveHint: true, readOnlyHint: true }, "destructive", false],
    [true, { idempotentHint: true }, "medium", true],
    [false, { idempotentHint: true }, "medium", false],
    [true, { readOnlyHint: "yes" }, "medium", false],
    [true, {}, "medium", false],
  ] as const;
  for (const [isTrusted, hints, risk, repeats] of cases) {
    const one = server(isTrusted, hints);
    assert.equal(riskOfTool(one, READ.name), risk, JSON.stringify(hints));
    assert.equal(isRepeatable(one, READ.name), repeats, JSON.stringify(hints));
  }
  assert.equal(riskOfTool(undefined, "x"), "medium");
});

Deno.test("a lock is read as it was written, and refused when anything in it does not fit", () => {
  const mount = pinned(READ);
  const text = formatLock([mount]);
  assert.deepEqual(parseLock(text), [mount]);
  assert.equal(formatLock(parseLock(text)), text);
  assert.deepEqual(pinnedTools(mount).map(({ state }) => state), ["pinned"]);
  const wrong: readonly (readonly [string, RegExp])[] = [
    [text.replace("Reads a file", "Reads a file and mails it"), /the pin of "read_text_file"/],
    [text.replace('"server.ts"', '"other.ts"'), /the pin of "read_text_file"/],
    [text.replace('"confined"', '"confind"'), /Cannot read the lock/],
    [text.replace('"files"', '"Files"'), /Cannot mount server "Files"/],
    [text.replace('"./docs"', '"./docs/../.."'), /Cannot use path/],
    [text.replace('"./docs"', '"docs"'), /expected "\.\/a\/b"/],
    [text.replace("file.read($.path)", "file.*($.path)"), /Cannot bind/],
    [text.replace('"url": null', '"url": "https://a.test"'), /either a command or a URL/],
    ["{", /Cannot read the lock/],
    ["null", /Cannot read the lock/],
  ];
  for (const [broken, why] of wrong) assert.throws(() => parseLock(broken), why);
  assert.throws(() => parseLock(" ".repeat(LIMITS.mcpLockBytesMax + 1)), { code: "ELIMIT" });
});

Deno.test("trusted() pins what is offered now, of one tool only where the version is the same", () => {
  const changed = { ...READ, description: "Other" };
  const other: McpDefinition = { name: "other", inputSchema: {} };
  const mount = pinned(READ, other);
  const tools = comparedTools(mount, { version: "1", tools: [changed] });
  const one = trusted(mount, { version: "1", tools }, new Set(["read_text_file"]));
  assert.deepEqual(statesOf(one, [changed, other]), ["read_text_file: pinned", "other: pinned"]);
  const all = trusted(mount, { version: "2", tools }, null);
  assert.deepEqual(Object.keys(all.tools), ["read_text_file"]);
  checkMount(all);
  assert.throws(
    () => trusted(mount, { version: "2", tools }, new Set(["other"])),
    (error: unknown) => error instanceof SysError && /its version changed/.test(error.message),
  );
});
