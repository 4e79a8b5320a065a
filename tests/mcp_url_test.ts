/**
 * Servers of tools at URLs: real ones of this machine, and what they do to get more than their due.
 * @module
 */

import assert from "node:assert/strict";
import type { SysError } from "../kernel/errors.ts";
import type { JsonObject } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { McpDone } from "../kernel/mcp.ts";
import { type McpMount, trusted } from "../kernel/mcp_lock.ts";
import { NO_REACH } from "../kernel/reach.ts";
import { allow, defineImage } from "../mod.ts";
import { openCredentials } from "../providers/credentials.ts";
import { checkHeaders } from "../providers/mcp_definition.ts";
import { type McpHost, type McpOptions, mountMcp } from "../providers/mcp_host.ts";
import { scriptedModel } from "../testing.ts";
import { callOf } from "./mcp_place.ts";
import { bare, type Elsewhere, elsewhere, type Era, mountAt } from "./mcp_url_place.ts";
import { TEST_CA } from "./net_place.ts";
import { inWorld } from "./world_fixture.ts";

const SOON = (): AbortSignal => AbortSignal.timeout(60_000);
const SECRET = "s3cret-of-the-shop-0123456789";

/** A host of one mount, all of whose tools are trusted. */
async function hostFor(
  mount: McpMount,
  options: Partial<McpOptions> = {},
): Promise<McpHost> {
  await using first = mountMcp([mount], { root: null, ...options });
  const { tools, version } = await first.look(mount.name, SOON());
  return mountMcp([trusted(mount, { tools, version }, null)], { root: null, ...options });
}

async function said(answer: ReturnType<typeof callOf>): Promise<string> {
  return JSON.stringify((await answer as McpDone).content);
}

const keyFor = (origin: string) =>
  openCredentials({ shop: { hosts: [origin], prefix: "Bearer ", value: SECRET } });

for (const era of ["2026-07-28", "2025-11-25"] as const satisfies Era[]) {
  Deno.test(`A server at a URL is called, read and listened to in ${era}`, async () => {
    await using there = elsewhere({ era });
    await using host = await hostFor(mountAt(`${there.origin}/mcp`));
    assert.match(await said(callOf(host, "echo", { text: "through" })), /through/);
    assert.equal(host.server("box")!.protocol, era);
    const signal = SOON();
    const found = await host.readables("box", NO_REACH, signal);
    assert.deepEqual(found.map(({ kind, name }) => `${kind} ${name}`), [
      "resource demo://note",
      "prompt greet",
    ]);
    const at = { server: "box", reach: NO_REACH };
    assert.match(JSON.stringify(await host.read({ ...at, uri: "demo://note" }, signal)), /A note/);
    const greeting = await host.read({ ...at, uri: "greet", prompt: { who: "Ada" } }, signal);
    assert.match(JSON.stringify(greeting), /Greet Ada/);
  });

  Deno.test(`What a server at a URL asks in ${era}, a person is asked, and it is declined for who may not`, async () => {
    await using there = elsewhere({ era });
    await using host = await hostFor(mountAt(there.origin));
    const image = () =>
      defineImage({
        name: "agent",
        instructions: "x",
        model: scriptedModel([{ tool: "mcp_box_ask", input: {} }, "done"]),
      });
    await inWorld(async (world) => {
      const calls = allow("mcp.box.*", "**");
      const process = await world.start(image(), { grants: [calls, allow("human.ask", "**")] });
      const [request] = world.os.approvals.list();
      assert.equal(request!.prompt, "MCP server box asks: Your name?");
      await world.os.approvals.decide(request!.id, { outcome: "answer", value: { name: "Ada" } });
      await world.os.runUntilIdle();
      assert.equal((await world.ended(process)).result, "done");
      assert.ok(JSON.stringify(await world.lines()).includes("accept Ada"));
    }, { mcp: host });
    await using again = await hostFor(mountAt(there.origin));
    await inWorld(async (world) => {
      await world.start(image(), { grants: [allow("mcp.box.*", "**")] });
      assert.deepEqual(world.os.approvals.list(), []);
      const lines = JSON.stringify(await world.lines());
      assert.ok(lines.includes("decline nobody"));
    }, { mcp: again });
  });
}

/** Where a name leads, and what becomes of a server there. */
const PLACES: readonly (readonly [string, string, readonly string[], RegExp])[] = [
  ["a public name to this machine", "https://site.test", ["127.0.0.1"], /an address is loopback/],
  ["a public name to a private net", "https://site.test", ["10.0.0.8"], /an address is private/],
  [
    "a public name to a public address and the metadata service",
    "https://site.test",
    ["93.184.215.14", "169.254.169.254"],
    /an address is/,
  ],
  ["a name to nothing", "https://site.test", [], /no address/],
  ["a private name in plain text", "http://mcp.internal", ["127.0.0.1"], /an odd URL/],
  ["a number that is an address", "http://2130706433", [], /Cannot connect|an odd URL/],
  ["a name and a password", "https://ada:x@site.test", ["93.184.215.14"], /an odd URL/],
  ["a file", "file:///etc/passwd", [], /an odd URL/],
];

Deno.test("A mount reaches a private address only where it writes it out", async () => {
  await using there = elsewhere({ isSecure: true });
  for (const [what, url, addresses, says] of PLACES) {
    const net = { resolve: () => Promise.resolve(addresses), caCerts: [TEST_CA] };
    const at = url.startsWith("file") ? url : `${url}:${there.port}/mcp`;
    const host = mountMcpOr([at, net]);
    await assert.rejects(host, says, what);
  }
  assert.equal(there.requests.length, 0);
  const net = { caCerts: [TEST_CA] };
  await using host = await hostFor(mountAt(there.origin), { net });
  assert.match(await said(callOf(host, "echo", { text: "a" })), /a/);
});

async function mountMcpOr([url, net]: readonly [string, McpOptions["net"]]): Promise<void> {
  await using host = mountMcp([mountAt(url)], { root: null, net: net! });
  await host.look("box", SOON());
}

Deno.test("Who cannot prove its name is told nothing", async () => {
  await using there = elsewhere({ isSecure: true });
  const localhost = `https://localhost:${there.port}`;
  const credentials = keyFor(localhost);
  const mount = mountAt(localhost, { credential: "shop" });
  for (const net of [{ caCerts: [TEST_CA] }, {}]) {
    await using host = mountMcp([mount], { root: null, net, credentials });
    await assert.rejects(host.look("box", SOON()), /certificate/i);
  }
  // The connection is made to the address that was judged: who is there has no such name.
  const net = { caCerts: [TEST_CA], resolve: () => Promise.resolve(["127.0.0.1"]) };
  const inner = mountAt(`https://mcp.internal:${there.port}`);
  await using host = mountMcp([inner], { root: null, net });
  await assert.rejects(host.look("box", SOON()), /certificate/i);
  assert.equal(there.requests.length, 0);
});

/** Every request to a server, with what it carried of the credential. */
function carried({ requests }: Elsewhere): readonly (string | null)[] {
  return requests.map(({ headers }) => headers.get("authorization"));
}

Deno.test("A credential goes to its own origin, with every request, and nowhere else", async () => {
  await using there = elsewhere();
  await using other = elsewhere();
  const credentials = keyFor(there.origin);
  const mount = mountAt(there.origin, { credential: "shop" });
  await using host = await hostFor(mount, { credentials });
  await callOf(host, "echo", { text: "a" });
  assert.ok(carried(there).length > 1);
  assert.deepEqual([...new Set(carried(there))], [`Bearer ${SECRET}`]);
  await using wrong = mountMcp([{ ...mount, url: other.origin }], { root: null, credentials });
  await assert.rejects(wrong.look("box", SOON()), /Cannot connect.*shop/);
  await using without = mountMcp([mount], { root: null });
  await assert.rejects(without.look("box", SOON()), /this runtime holds none/);
  assert.deepEqual(carried(other), []);
});

for (const status of [301, 302, 303, 307, 308]) {
  Deno.test(`A server that leads elsewhere by ${status} is not followed`, async () => {
    await using other = elsewhere();
    const answer = (): Response =>
      new Response(null, { status, headers: { location: `${other.origin}/mcp` } });
    await using there = elsewhere({ answer });
    const mount = mountAt(there.origin, { credential: "shop" });
    await using host = mountMcp([mount], { root: null, credentials: keyFor(there.origin) });
    await assert.rejects(host.look("box", SOON()), /leads elsewhere/);
    assert.deepEqual(carried(other), []);
  });
}

Deno.test("A server that says the credential back has it in no result, pin, list, error or log", async () => {
  const says = ({ headers }: Request): string => ` with ${headers.get("authorization")}`;
  await using there = elsewhere({ says });
  const credentials = keyFor(there.origin);
  const mount = mountAt(there.origin, { credential: "shop" });
  await using host = await hostFor(mount, { credentials });
  const at = { server: "box", reach: NO_REACH, uri: "demo://note" };
  const told = [host.servers(), await host.read(at, SOON()), host.mount("box")];
  assert.match(JSON.stringify(told), /Says it again with /);
  assert.ok(!JSON.stringify(told).includes(SECRET));
  await inWorld(async (world) => {
    const model = scriptedModel([{ tool: "mcp_box_echo", input: { text: "a" } }, "done"]);
    const image = defineImage({ name: "agent", instructions: "x", model });
    await world.start(image, { grants: [allow("mcp.box.*", "**")] });
    const lines = JSON.stringify(await world.lines());
    assert.ok(lines.includes("a with "), "what it said");
    assert.ok(!lines.includes(SECRET), "the log");
  }, { mcp: host });
  for (const status of [401, 403, 500]) {
    const answer = (request: Request): Response =>
      new Response(says(request), { status, headers: { "www-authenticate": says(request) } });
    await using angry = elsewhere({ answer });
    const key = keyFor(angry.origin);
    await using refused = mountMcp([{ ...mount, url: angry.origin }], {
      root: null,
      credentials: key,
    });
    const error = await refused.look("box", SOON()).then(() => null, (one: SysError) => one);
    assert.equal(error?.code, "EIO", String(status));
    const whole = JSON.stringify([error.message, error.detail, refused.servers()]);
    assert.ok(!whole.includes(SECRET), whole);
    assert.equal(angry.requests.filter(({ url }) => url.includes("well-known")).length, 0);
  }
});

const LONG = "x".repeat(LIMITS.mcpResultBytesMax - 20);

/** Where what a server says is cut in the middle of the secret that it was sent. */
const CUT: readonly (readonly [string, string, (said: string) => Record<string, unknown>])[] = [
  ["why a call failed", "tools/call", (said) => failing("x".repeat(265) + said)],
  ["why there is no list", "resources/list", (said) => failing("x".repeat(265) + said)],
  ["a result", "tools/call", (said) => ({
    result: { content: [{ type: "text", text: LONG + said }] },
  })],
  ["a title", "resources/list", (said) => ({
    result: { resources: [{ uri: "a://b", name: "n", title: "x".repeat(236) + said }] },
  })],
  ["a version", "initialize", (said) => ({
    result: {
      protocolVersion: "2025-06-18",
      capabilities: { tools: {}, resources: {} },
      serverInfo: { name: "bare", version: "x".repeat(108) + said },
    },
  })],
];

const failing = (message: string) => ({ error: { code: -32_602, message } });

for (const [what, method, says] of CUT) {
  Deno.test(`No part of a credential is left where ${what} is cut`, async () => {
    await using there = bare((asked, said) => asked === method ? says(said) : undefined);
    const credentials = keyFor(there.origin);
    const mount = mountAt(there.origin, { credential: "shop" });
    await using host = await hostFor(mount, { credentials });
    const told = await Promise.all([
      callOf(host, "echo").catch(({ message }) => message),
      host.readables("box", NO_REACH, SOON()).catch(({ message }) => message),
    ]);
    const whole = JSON.stringify([told, host.servers()]);
    assert.ok(whole.includes("xxxx"), "what it said");
    assert.ok(!whole.includes(SECRET.slice(0, 6)), whole.slice(-2_000));
  });
}

const named = (header: unknown, type = "string") => ({ type, "x-mcp-header": header });

/** Schemas that want arguments as headers, and whether a tool of them may be called. */
const HEADERS: readonly (readonly [string, Record<string, unknown>, boolean])[] = [
  ["plain arguments", { a: named("A"), b: named("B", "integer"), c: named("C", "boolean") }, true],
  ["one below another", { a: { type: "object", properties: { b: named("B") } } }, true],
  ["an argument of that name", { "x-mcp-header": { type: "string" } }, true],
  ["a default with that word", { a: { type: "object", default: named("") } }, true],
  ["no name", { a: named("") }, false],
  ["a name with a line's end", { a: named("A\r\nB: c") }, false],
  ["the same name twice", { a: named("Region"), b: named("region") }, false],
  ["a number, which has many spellings", { a: named("A", "number") }, false],
  ["an element of a list", { a: { type: "array", items: named("A") } }, false],
];

Deno.test("A tool whose arguments cannot stand in headers is not called over HTTP", () => {
  for (const [what, properties, isGood] of HEADERS) {
    const inputSchema = { type: "object", properties } as JsonObject;
    const check = (): void => checkHeaders({ name: "tool", inputSchema });
    if (isGood) check();
    else assert.throws(check, { code: "EINVAL" }, what);
  }
});
