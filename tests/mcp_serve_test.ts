/**
 * The runtime as an MCP server: real sockets, the protocol's own client, and whoever attacks it.
 * @module
 */

import assert from "node:assert/strict";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { InMemoryTransport } from "@modelcontextprotocol/server";
import { LIMITS } from "../kernel/limits.ts";
import { defineImage } from "../mod.ts";
import { serveMcp } from "../server/mod.ts";
import type { Role } from "../server/principal.ts";
import { asked, code, sent, sleeper } from "./server_attack_place.ts";
import { type ServerPlace, serverPlace } from "./server_place.ts";

const asker = defineImage({
  name: "asker",
  program: async ({ sys, goal }) => {
    const { answer } = await sys.human.ask({ prompt: goal, choices: ["red", "blue"] });
    await sys.process.exit({ result: answer });
  },
});

const maker = defineImage({
  name: "maker",
  program: async ({ sys, goal }) => {
    const made = await sys.object.create({ name: goal, type: "text", value: "x" }).then(
      () => "made",
      ({ code }) => code,
    );
    await sys.process.exit({ result: made });
  },
});

const listener = defineImage({
  name: "listener",
  program: async ({ sys }) => {
    const { messages } = await sys.message.receive({});
    await sys.process.exit({ result: messages[0]!.data });
  },
});

const IMAGES = [asker, maker, listener, sleeper];

/** What a person at a client says to what they are shown. */
type Says = (message: string) => Record<string, unknown>;

type Result = {
  readonly isError?: boolean;
  readonly structuredContent?: Record<string, unknown>;
  readonly content: readonly { readonly text: string }[];
};

interface Caller extends AsyncDisposable {
  readonly client: Client;
  /** What a tool answers; what fails is `CODE sentence`. */
  call(name: string, args?: Record<string, unknown>): Promise<Record<string, unknown> | string>;
}

async function callerBy(
  transport: ConstructorParameters<typeof Object>[0],
  { says, legacy = false }: { readonly says?: Says; readonly legacy?: boolean },
): Promise<Caller> {
  const client = new Client({ name: "caller", version: "1" }, {
    capabilities: says === undefined ? {} : { elicitation: { form: {} } },
    versionNegotiation: { mode: legacy ? "legacy" : "auto" },
  });
  if (says !== undefined) {
    client.setRequestHandler(
      "elicitation/create",
      (request) => says((request.params as { message: string }).message) as never,
    );
  }
  await client.connect(transport as never);
  return {
    client,
    call: async (name, args = {}) => {
      const given = { name, arguments: args };
      const { isError, structuredContent, content } = await client.callTool(given) as Result;
      return isError === true ? content[0]!.text : structuredContent!;
    },
    [Symbol.asyncDispose]: () => client.close(),
  };
}

/** A client over HTTP, with the token of a role or any other. */
function caller(
  at: ServerPlace,
  token: string,
  more: { readonly says?: Says; readonly legacy?: boolean } = {},
): Promise<Caller> {
  const headers = { authorization: `Bearer ${token}` };
  const url = new URL(`${at.server.url}/mcp`);
  return callerBy(new StreamableHTTPClientTransport(url, { requestInit: { headers } }), more);
}

const placed = (): Promise<ServerPlace> => serverPlace({ serve: { images: IMAGES } });

/** Starts a process by the API, and waits until nothing runs. */
async function started(at: ServerPlace, image: string, more: Record<string, unknown> = {}) {
  const wish = { image, goal: "Which colour?", ...more };
  const { pid } = await (await at.post("operator", "/v1/processes", wish)).json();
  await at.runtime.runUntilIdle();
  return pid as string;
}

/** Every process there is. */
async function pids(at: ServerPlace): Promise<string[]> {
  const { items } = await (await at.ask("admin", "/v1/processes?all=true")).json();
  return (items as { readonly pid: string }[]).map(({ pid }) => pid);
}

const ASKS = { grants: ["allow human.ask(**)"] };
const MAKES = { goal: "thing", grants: ["ask object.create(**)"] };

for (const legacy of [false, true]) {
  const protocol = legacy ? "2025-11-25" : "2026-07-28";
  Deno.test(`An agent starts, talks to and waits for a process over ${protocol}`, async () => {
    await using at = await placed();
    await using operator = await caller(at, at.secrets.operator, { legacy });
    assert.equal(operator.client.getNegotiatedProtocolVersion(), protocol);
    const wish = { image: "listener", goal: "Listen", key: "one" };
    const { pid } = await operator.call("process_spawn", wish) as { pid: string };
    // The same key starts nothing again.
    assert.equal((await operator.call("process_spawn", wish) as { pid: string }).pid, pid);
    await at.runtime.runUntilIdle();
    const { waiting } = await operator.call("process_status", { pid }) as {
      waiting: { reason: string };
    };
    assert.equal(waiting.reason, "message");
    await operator.call("process_message", { pid, data: { colour: "blue" } });
    const { ended, result } = await operator.call("process_wait", { pid }) as {
      ended: boolean;
      result: unknown;
    };
    assert.deepEqual([ended, result], [true, { colour: "blue" }]);
    const process = (await at.runtime.get(pid))!;
    assert.match(JSON.stringify(await Array.fromAsync(process.events())), /person:operator/);
  });
}

/** What each role is shown of the tools. */
const SHOWN: readonly (readonly [Role, readonly string[]])[] = [
  ["viewer", [
    ...["image_list", "process_list", "process_status", "process_wait"],
    ...["request_list", "request_show"],
  ]],
  ["approver", [
    ...["image_list", "process_list", "process_status", "process_wait"],
    ...["request_list", "request_show", "request_answer"],
  ]],
];

Deno.test("A token is shown the tools of its role; who calls another is refused with the reason", async () => {
  await using at = await placed();
  const pid = await started(at, "sleeper");
  for (const [role, names] of SHOWN) {
    await using one = await caller(at, at.secrets[role]);
    const { tools } = await one.client.listTools();
    assert.deepEqual(tools.map(({ name }) => name), names);
    const refused: readonly (readonly [string, Record<string, unknown>])[] = [
      ["process_spawn", { image: "sleeper", goal: "x" }],
      ["process_signal", { pid, signal: "kill" }],
      ["process_message", { pid, data: 1 }],
    ];
    for (const [name, args] of refused) {
      assert.match(
        String(await one.call(name, args)),
        /^role_too_low .*operator/,
        name,
      );
    }
  }
  assert.deepEqual(await pids(at), [pid]);
});

/** Calls that are none, and what is said of them. */
const MISFITS: readonly (readonly [string, Record<string, unknown>, RegExp])[] = [
  ["process_status", { pid: "p_1/../../tokens" }, /^EINVAL Cannot call "process_status": at "pid"/],
  ["process_status", { pid: "p_1", more: 1 }, /^EINVAL/],
  ["request_show", { request: "req_1.1?reveal=true" }, /^EINVAL/],
  ["process_list", { limit: 1e9 }, /^EINVAL/],
  ["process_spawn", { image: "absent", goal: "x" }, /^ENOENT/],
  ["process_spawn", { image: "sleeper", goal: "x", grants: ["everything"] }, /^EINVAL/],
  ["process_spawn", { image: "sleeper", goal: "x", key: "a\r\nx-evil: 1" }, /^EINVAL/],
];

Deno.test("What is no call of a tool reaches nothing, and says why", async () => {
  await using at = await placed();
  await using admin = await caller(at, at.secrets.admin);
  for (const [name, args, said] of MISFITS) {
    assert.match(String(await admin.call(name, args)), said, JSON.stringify(args));
  }
  for (const name of ["token_create", "toString", "__proto__"]) {
    await assert.rejects(admin.call(name), /no such tool/, name);
  }
  assert.deepEqual(await pids(at), []);
});

const HELLO = {
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: {
    protocolVersion: "2025-06-18",
    capabilities: {},
    clientInfo: { name: "x", version: "1" },
  },
};

Deno.test("Nobody is let in without a token, of another site, by another name, or by a cookie", async () => {
  await using at = await placed();
  const post = (headers: Record<string, string>, body: unknown = HELLO) =>
    fetch(`${at.server.url}/mcp`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        ...headers,
      },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  const token = { authorization: `Bearer ${at.secrets.viewer}` };
  const welcome = await post(token);
  assert.equal(welcome.status, 200);
  await welcome.body?.cancel();
  assert.equal(await code(post({})), "401 unauthenticated");
  assert.equal(await code(post({ authorization: "Bearer libos_wrong" })), "401 unauthenticated");
  assert.equal(
    await code(post({ ...token, origin: "https://evil.example" })),
    "403 origin_refused",
  );
  assert.match(await sent(at, asked(at, "POST /mcp", { host: "evil.example" })), /host_refused/);
  const link = at.server.link(at.server.tokens.list()[0]!.id);
  const signed = await fetch(link, { redirect: "manual" });
  await signed.body?.cancel();
  const cookie = signed.headers.get("set-cookie")!.split(";")[0]!;
  const { csrf } = await (await fetch(`${at.server.url}/v1/whoami`, { headers: { cookie } }))
    .json();
  assert.ok(csrf);
  assert.equal(await code(post({ cookie, "x-libos-csrf": csrf })), "401 unauthenticated");
  const large = `{"a":"${"x".repeat(LIMITS.httpBodyBytesMax)}"}`;
  assert.equal(await code(post(token, large)), "413 body_too_large");
  assert.equal(await code(post(token, '{"__proto__":{}}')), "400 EINVAL");
});

Deno.test("A token that is taken back is refused at its next call, on a link that was open", async () => {
  await using at = await placed();
  const { record, secret } = at.server.tokens.create({ name: "gone", role: "admin" });
  await using one = await caller(at, secret);
  await one.call("process_list");
  at.server.tokens.revoke(record.id);
  await assert.rejects(one.call("process_spawn", { image: "sleeper", goal: "x" }), /401|sign/i);
  assert.deepEqual(await pids(at), []);
});

Deno.test("A token with labels sees, starts and answers only what carries them", async () => {
  await using at = await placed();
  const other = await started(at, "asker", ASKS);
  const { secret } = at.server.tokens.create({
    name: "a",
    role: "operator",
    labels: { team: "a" },
  });
  await using one = await caller(at, secret);
  const absent = /^ENOENT/;
  assert.match(String(await one.call("process_status", { pid: other })), absent);
  assert.match(String(await one.call("process_message", { pid: other, data: 1 })), absent);
  assert.deepEqual((await one.call("request_list") as { items: unknown[] }).items, []);
  const [request] = at.runtime.approvals.list();
  const answer = { decision: { outcome: "answer", value: "red" }, request: request!.id };
  assert.match(String(await one.call("request_answer", answer)), absent);
  const { labels } = await one.call("process_spawn", {
    image: "sleeper",
    goal: "x",
    labels: { team: "b" },
  }) as { labels: unknown };
  assert.deepEqual(labels, { team: "a" });
});

Deno.test("A request is answered only by a token that may, and for what it was shown", async () => {
  await using at = await placed();
  const pid = await started(at, "maker", MAKES);
  const [{ id }] = at.runtime.approvals.list() as unknown as [{ id: string }];
  const yes = { request: id, decision: { outcome: "approve" } };
  const argsHash = "0".repeat(64);
  await using viewer = await caller(at, at.secrets.viewer);
  await using owner = await caller(at, at.secrets.operator);
  await using approver = await caller(at, at.secrets.approver);
  const refusals: readonly (readonly [Caller, Record<string, unknown>, RegExp])[] = [
    [viewer, { ...yes, argsHash }, /^role_too_low/],
    // An agent does not approve what its own processes ask for.
    [owner, { ...yes, argsHash }, /^own_request/],
    [approver, yes, /^EINVAL .*argsHash/],
    [approver, { ...yes, argsHash }, /^ESTALE/],
  ];
  for (const [who, args, said] of refusals) {
    assert.match(String(await who.call("request_answer", args)), said);
  }
  assert.equal(at.runtime.approvals.list().length, 1);
  const shown = await approver.call("request_show", { request: id }) as {
    call: { argsHash: string };
  };
  const given = { ...yes, argsHash: shown.call.argsHash };
  assert.equal(typeof await approver.call("request_answer", given), "object");
  const { result } = await owner.call("process_wait", { pid }) as { result: unknown };
  assert.equal(result, "made");
});

/** What a person at a client says, and what becomes of the process. */
const PEOPLE: readonly (readonly [string, string, Record<string, unknown>, unknown])[] = [
  ["approves", "maker", { decision: "approve" }, "made"],
  ["denies", "maker", { decision: "deny", reason: "no" }, "EACCES"],
  ["answers", "asker", { answer: "blue" }, "blue"],
];

for (const [verb, image, content, result] of PEOPLE) {
  Deno.test(`A person at a client ${verb}, in the name of its token`, async () => {
    await using at = await placed();
    const pid = await started(at, image, image === "maker" ? MAKES : ASKS);
    const [{ id }] = at.runtime.approvals.list() as unknown as [{ id: string }];
    let shown = "";
    const says = (message: string) => {
      shown = message;
      return { action: "accept", content };
    };
    await using approver = await caller(at, at.secrets.approver, { says });
    const done = await approver.call("request_answer", { request: id });
    assert.equal((done as { request: { by: string } }).request.by, "approver", String(done));
    const head = image === "maker" ? "asks: object.create\\(.*thing\\), risk" : "asks\n";
    assert.match(shown, new RegExp(`^Process ${pid} ${head}[^]*What agents wrote:`));
    assert.match(shown, image === "maker" ? /\nArguments: \{.*"value":"x"/ : /asks\n/);
    const process = (await at.runtime.get(pid))!;
    assert.equal((await process.wait()).result, result);
  });
}

Deno.test("No person is asked in the name of a token that may not decide, and none is made up", async () => {
  await using at = await placed();
  await started(at, "asker", ASKS);
  const [{ id }] = at.runtime.approvals.list() as unknown as [{ id: string }];
  const heard: string[] = [];
  const accept = (message: string) => {
    heard.push(message);
    return { action: "accept", content: { answer: "red" } };
  };
  await using viewer = await caller(at, at.secrets.viewer, { says: accept });
  assert.match(String(await viewer.call("request_answer", { request: id })), /^EPERM.*may not/);
  await using alone = await caller(at, at.secrets.approver);
  assert.match(String(await alone.call("request_answer", { request: id })), /asks no person/);
  assert.deepEqual(heard, []);
  await using shy = await caller(at, at.secrets.approver, { says: () => ({ action: "decline" }) });
  assert.match(String(await shy.call("request_answer", { request: id })), /waits as before/);
  // A reply to what nobody was shown, as a client that lies would send it.
  const params = {
    name: "request_answer",
    arguments: { request: id },
    inputResponses: { decision: { action: "accept", content: { answer: "red" } } },
    requestState: "{}",
  };
  const forged = await alone.client.request({ method: "tools/call", params } as never) as Result;
  assert.match(forged.content[0]!.text, /no reply to what was shown/);
  assert.equal(at.runtime.approvals.list().length, 1);
});

Deno.test("Over pipes a caller is the principal it was served as, and ends with them", async () => {
  await using at = await placed();
  const pid = await started(at, "asker", ASKS);
  for (const legacy of [false, true]) {
    const [here, there] = InMemoryTransport.createLinkedPair();
    await using server = await serveMcp(at.runtime, {
      as: { name: "planner", role: "viewer" },
      images: IMAGES,
      transport: here,
    });
    const planner = await callerBy(there, { legacy });
    const { items } = await planner.call("process_list") as { items: { pid: string }[] };
    assert.deepEqual(items.map(({ pid }) => pid), [pid]);
    const wish = { image: "sleeper", goal: "x" };
    assert.match(String(await planner.call("process_spawn", wish)), /^role_too_low/);
    await planner.client.close();
    await server.ended;
  }
});
