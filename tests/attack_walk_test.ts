/**
 * Every route of the API is walked by somebody who sees some labels only: what is another team's
 * is answered as what is absent, in the same words, and nothing of it is in any list or stream.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask, defineImage } from "../mod.ts";
import { FakeWorkshop, install } from "./fake_sandbox.ts";
import { type ServerPlace, serverPlace } from "./server_place.ts";

const ABSENT = "9".repeat(9);
const HASH = "f".repeat(64);
const METHODS = ["get", "post", "put", "delete"];

/** Ids of a kind: one of another team's, and ones that nobody has. */
type Ids = Readonly<Record<string, { readonly theirs: string; readonly absent: string }>>;

/** A body for each schema that a route of one thing takes. */
const BODIES: Readonly<Record<string, (id: (name: string) => string) => unknown>> = {
  Put: () => ({ name: "a", value: 1 }),
  Signal: () => ({ signal: "pause" }),
  Message: () => ({ data: 1 }),
  Grant: () => ({ rule: "clock.sleep(**)" }),
  Explain: (id) => ({ pid: id("pid"), rule: "clock.sleep(**)" }),
  DecideAll: (id) => ({
    items: [{ id: id("req"), argsHash: HASH }],
    decision: { outcome: "deny" },
  }),
  Decide: () => ({ decision: { outcome: "deny" }, argsHash: HASH }),
  PolicyText: () => ({ text: "" }),
  PolicyTrial: () => ({ text: "deny object.create(**)" }),
  Retain: () => ({ days: 1 }),
  Limits: () => ({ modelCalls: 1 }),
  CheckpointName: () => ({ name: "mine" }),
  Rollback: () => ({ files: false }),
  Fork: () => ({}),
  NodeMove: (id) => ({ tree: id("tree") }),
  Reason: () => ({ reason: "mine" }),
  ImageWish: (id) => ({ pid: id("pid"), name: "mine" }),
};

/** Which kind of id a path has under `{id}`. */
const KINDS: Readonly<Record<string, string>> = {
  capabilities: "cap",
  approvals: "req",
  objects: "obj",
  checkpoints: "ck",
  tokens: "token",
  nodes: "node",
};

interface Parameter {
  readonly in: string;
  readonly name: string;
  readonly required?: boolean;
}

interface Route {
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: {
    readonly content: Record<string, { readonly schema: { readonly $ref?: string } }>;
  };
}

const REQUIRED: Readonly<Record<string, string>> = {
  name: "calls",
  rule: "clock.sleep(**)",
  resource: "**",
  from: "1",
};

/** Team b's tree: with a request, an object, a checkpoint, a tool, rights; and team a's. */
async function place(): Promise<ServerPlace & { readonly ids: Ids; readonly headers: Headers }> {
  const shop = FakeWorkshop.of({ count: () => 1 });
  const jit = { review: "never", workshop: { sandbox: shop, compiler: shop } } as const;
  const workspace = await Deno.makeTempDir();
  const at = await serverPlace({ runtime: { autorun: false, jit, workspace } });
  const team = defineImage({
    name: "team",
    program: async ({ sys }) => {
      await install(sys, "count", { rights: [] });
      await sys.object.create({ name: "secret", type: "text", value: "b's own" });
      await sys.checkpoint.create({ name: "here" });
      await sys.file.write({ path: "./a", text: "" });
      await sys.process.exit({});
    },
  });
  const grants = [
    allow("tool.register", "**"),
    ask("file.write", "**"),
    allow("object.*", "**"),
  ];
  await at.runtime.spawn(team, { goal: "b's goal", labels: { team: "b" }, grants, by: "bob" });
  const idle = defineImage({
    name: "idle",
    program: async ({ sys }) => {
      await sys.clock.sleep({ ms: 86_400_000 });
    },
  });
  await at.runtime.spawn(idle, { goal: "a's goal", labels: { team: "a" } });
  await at.runtime.runUntilIdle();
  const { secret } = at.server.tokens.create({
    name: "a-admin",
    role: "admin",
    labels: { team: "a" },
  });
  const made = await at.post("admin", "/v1/images", { pid: "p_1", name: "theirs" });
  assert.equal(made.status, 201, await made.text());
  const first = async (list: string): Promise<Record<string, string>> => {
    const { items } = await (await at.ask("admin", `/v1/${list}`)).json();
    return items[0];
  };
  const of = (kind: string) => ({ theirs: `${kind}_1.1`, absent: `${kind}_${ABSENT}.1` });
  const ids: Ids = {
    pid: { theirs: "p_1", absent: `p_${ABSENT}` },
    tree: { theirs: "t_1", absent: `t_${ABSENT}` },
    hash: { theirs: (await first("tools"))["hash"]!, absent: HASH },
    cap: { ...of("cap"), theirs: (await first("capabilities"))["id"]! },
    req: { ...of("req"), theirs: (await first("approvals"))["id"]! },
    obj: { ...of("obj"), theirs: (await first("objects"))["id"]! },
    ck: { ...of("ck"), theirs: (await first("checkpoints"))["id"]! },
    image: { theirs: "theirs@1", absent: "absent@1" },
    package: { theirs: "theirs@1", absent: "absent@1" },
    node: { theirs: at.runtime.node.options.id, absent: "node-000000000000" },
    token: { theirs: at.server.tokens.list()[0]!.id, absent: "tok_000000000000" },
  };
  const dispose = at[Symbol.asyncDispose];
  return Object.assign(at, {
    ids,
    headers: new Headers({ authorization: `Bearer ${secret}` }),
    async [Symbol.asyncDispose]() {
      await dispose();
      await Deno.remove(workspace, { recursive: true });
    },
  });
}

async function routesOf(at: ServerPlace): Promise<readonly [string, string, Route][]> {
  const document = await (await at.ask(null, "/openapi.json")).json();
  const paths = Object.entries(document.paths as Record<string, Record<string, Route>>);
  return paths.flatMap(([path, methods]) =>
    Object.entries(methods).filter(([method]) => METHODS.includes(method))
      .map(([method, route]): [string, string, Route] => [method, path, route])
  );
}

/** A path and body with ids of one sort; undefined for a route that takes none. */
function asking(path: string, route: Route, pick: (kind: string) => string) {
  let hasId = false;
  const id = (kind: string): string => {
    hasId = true;
    return pick(kind);
  };
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    if (name === "seq" || name === "n") return "1";
    const kind = name === "id" ? KINDS[path.split("/")[2]!] : name;
    assert(kind !== undefined, `a kind of id for ${path}`);
    return id(kind);
  });
  const query = new URLSearchParams();
  for (const { in: where, name, required } of route.parameters ?? []) {
    if (where !== "query") continue;
    if (name === "tree" || name === "pid") query.set(name, id(name));
    else if (name === "against") query.set(name, id("hash"));
    else if (name === "all" || name === "deleted") query.set(name, "true");
    else if (required || name === "from") query.set(name, REQUIRED[name] ?? "1");
  }
  const ref = route.requestBody?.content["application/json"]?.schema.$ref?.split("/").at(-1);
  const make = ref === undefined ? undefined : BODIES[ref];
  assert(!path.includes("{") || ref === undefined || make !== undefined, `a body of ${ref}`);
  const body = make?.(id);
  return hasId
    ? { path: `${filled}?${query}`, body: body === undefined ? null : JSON.stringify(body) }
    : undefined;
}

Deno.test("At every route, what is another team's is answered as what is absent", async () => {
  await using at = await place();
  const before = JSON.stringify(await (await at.ask("admin", "/v1/trees")).json());
  let walked = 0;
  for (const [method, path, route] of await routesOf(at)) {
    const answers = [];
    for (const sort of ["theirs", "absent"] as const) {
      const one = asking(path, route, (kind) => at.ids[kind]![sort]);
      if (one === undefined) continue;
      const answer = await fetch(`${at.server.url}${one.path}`, {
        method: method.toUpperCase(),
        body: one.body,
        headers: {
          ...Object.fromEntries(at.headers),
          "if-none-match": "*",
          "if-match": "*",
          ...one.body === null ? {} : { "content-type": "application/json" },
        },
      });
      let text = await answer.text();
      for (const ids of Object.values(at.ids)) text = text.replaceAll(ids[sort], "ID");
      const headers = [...answer.headers].filter(([name]) => !/^(date|content-length)$/.test(name));
      answers.push({ status: answer.status, text, headers });
    }
    if (answers.length === 0) continue;
    walked += 1;
    assert.deepEqual(answers[0], answers[1], `${method} ${path}`);
    const isList = method === "get" && !path.includes("{");
    const isEach = path === "/v1/approvals/decide";
    // Packages are of no tree: whoever sees some labels only reads them and changes none.
    const isShared = path.startsWith("/v1/packages/");
    if (!isList && !isEach && !isShared) assert.equal(answers[0]!.status, 404, `${method} ${path}`);
  }
  assert(walked >= 40, `${walked} routes`);
  assert.equal(JSON.stringify(await (await at.ask("admin", "/v1/trees")).json()), before);
});

Deno.test("No list and no stream has anything of another team's, from whatever cursor", async () => {
  await using at = await place();
  const headers = Object.fromEntries(at.headers);
  const cursor = (key: string) => btoa(key).replaceAll("=", "");
  const keys = ["p_0", "p_0000000000000001", "t_0000000000000000", "", "\u0000"];
  for (const [method, path, route] of await routesOf(at)) {
    if (method !== "get" || path.includes("{") || path === "/v1/events") continue;
    const has = new Set((route.parameters ?? []).map(({ name }) => name));
    const query = Object.fromEntries(
      (route.parameters ?? []).filter(({ required }) => required)
        .map(({ name }) => [name, REQUIRED[name] ?? "1"]),
    );
    if (has.has("all")) query["all"] = "true";
    if (has.has("status")) query["status"] = "all";
    for (const key of has.has("after") ? keys : [""]) {
      const all = new URLSearchParams({ ...query, ...key === "" ? {} : { after: cursor(key) } });
      const text = await (await fetch(`${at.server.url}${path}?${all}`, { headers })).text();
      assert.doesNotMatch(text, /"[a-z]+_1(\.\d+)?"|b's |bob/, `${path}?${all}: ${text}`);
    }
  }
  const own = await at.ask(null, "/v1/events", { headers });
  const reader = own.body!.pipeThrough(new TextDecoderStream()).getReader();
  const begun = (await reader.read()).value!;
  const boot = /([0-9a-f]{8})-/.exec(begun)![1];
  await reader.cancel();
  const again = await at.ask(null, `/v1/events?since=${boot}-0`, { headers });
  const text = again.body!.pipeThrough(new TextDecoderStream()).getReader();
  let seen = "";
  while (!seen.includes('"t_2"')) seen += (await text.read()).value;
  await text.cancel();
  assert.doesNotMatch(seen, /"[a-z]+_1(\.\d+)?"|b's |bob/);
});

Deno.test("A key, a tag or a link of one token is of no use to another", async () => {
  await using at = await place();
  const headers = { ...Object.fromEntries(at.headers), "idempotency-key": "one" };
  const wish = { name: "eve", role: "viewer" };
  const first = await at.post("admin", "/v1/tokens", wish, {
    headers: { "idempotency-key": "one" },
  });
  const second = await at.post(null, "/v1/tokens", wish, { headers });
  assert.equal(second.headers.get("idempotent-replay"), null);
  const [made, other] = [await first.json(), await second.json()];
  assert.notEqual(made.secret, other.secret);
  assert.deepEqual(other.labels, { team: "a" });
  const whole = await at.ask("viewer", "/v1/processes/p_1");
  await whole.body?.cancel();
  const tag = whole.headers.get("etag")!;
  const tagged = { ...Object.fromEntries(at.headers), "if-none-match": tag };
  const answer = await at.ask(null, "/v1/processes/p_1", { headers: tagged });
  assert.equal(answer.status, 404);
  await answer.body?.cancel();
});
