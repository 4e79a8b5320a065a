/**
 * Every route over a real socket: what it answers is what the document says.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask, defineImage } from "../mod.ts";
import { scratch } from "./scratch.ts";
import { type ServerPlace, serverPlace } from "./server_place.ts";
import { connect } from "../server/client.ts";
import { wireTypes } from "../server/generate_client.ts";
import { type Document, fitting } from "./server_shape.ts";

const worker = defineImage({
  name: "worker",
  program: async ({ sys }) => {
    await sys.object.create({ name: "note", type: "text", mutable: true, value: "secret words" });
    await sys.object.write({ object: "note", value: "other words", from: 1 });
    await sys.file.read({ path: "./absent.txt" }).catch(() => {});
    await sys.clock.sleep({ ms: 86_400_000 });
  },
});

async function started(options: { readonly labels?: Record<string, string> } = {}) {
  const folder = scratch();
  const at = await serverPlace({
    runtime: { workspace: folder, audit: { every: "1d" } },
    serve: { images: [worker] },
  });
  const process = await at.runtime.spawn(worker, {
    goal: "work",
    grants: [allow("file.read", "./**"), ask("file.write", "./out/**")],
    labels: { team: "a", ...options.labels },
    budget: { tokens: 1_000 },
  });
  await at.runtime.runUntilIdle();
  const document = await (await at.ask(null, "/openapi.json")).json() as Document;
  return { at, process, document, folder };
}

/** Asks, holds the answer against the document, and returns its body. */
async function get(
  at: ServerPlace,
  document: Document,
  template: string,
  given: Readonly<Record<string, string | number>> = {},
  query = "",
): Promise<Record<string, unknown>> {
  const path = template.replaceAll(/\{(\w+)\}/g, (_, name) => String(given[name]));
  const answer = await at.ask("admin", `${path}${query}`);
  assert.equal(answer.status, 200, `${path}${query} ${answer.status}`);
  return await fitting(document, answer, { method: "get", path: template });
}

Deno.test("Every route that reads answers what the document says", async () => {
  const { at, process, document } = await started();
  await using _ = at;
  const { pid } = process;
  const tree = `t_${pid.slice(2)}`;
  const checkpoint = await process.checkpoint("before");
  const objects = await get(at, document, "/v1/objects") as {
    items: { id: string; name: string }[];
  };
  const note = objects.items.find(({ name }) => name.endsWith("/note"))!;
  const { items: lines } = await get(at, document, "/v1/trees/{tree}/events", { tree }) as {
    items: { seq: number; type: string }[];
  };
  const { seq } = lines.find(({ type }) => type === "call.done")!;
  const given = { pid, tree, id: note.id, seq, n: 1 };
  const READS: readonly (readonly [string, Record<string, string | number>?, string?])[] = [
    ["/v1/health"],
    ["/v1/version"],
    ["/v1/whoami"],
    ["/v1/nodes"],
    ["/v1/doctor"],
    ["/v1/overview"],
    ...["usd", "tokens", "calls", "denials", "personWaitMs"].map((name) =>
      ["/v1/series", {}, `?name=${name}`] as const
    ),
    ["/v1/processes"],
    ["/v1/processes", {}, "?all=true&state=waiting/timer&label=team=a&image=worker"],
    ["/v1/processes/{pid}"],
    ["/v1/processes/{pid}/wait", {}, "?timeoutMs=0"],
    ["/v1/processes/{pid}/timeline"],
    ["/v1/processes/{pid}/conversation"],
    ["/v1/processes/{pid}/capabilities"],
    ["/v1/processes/{pid}/tools"],
    ["/v1/processes/{pid}/budget"],
    ["/v1/budgets", {}, "?all=true"],
    ["/v1/capabilities"],
    ["/v1/capabilities", {}, `?tree=${tree}&uses=true`],
    ["/v1/capabilities/who", {}, "?rule=file.read(./a.txt)"],
    ["/v1/objects/{id}"],
    ["/v1/objects/{id}/versions"],
    ["/v1/objects/{id}/versions/{n}"],
    ["/v1/objects/{id}/versions/{n}", {}, "?reveal=true"],
    ["/v1/decisions"],
    ["/v1/decisions", {}, `?tree=${tree}&pid=${pid}&outcome=deny&kind=review&words=a&by=b`],
    ["/v1/trees"],
    ["/v1/trees/{tree}"],
    ["/v1/trees/{tree}/policy"],
    ["/v1/trees/{tree}/state", {}, "?at=3"],
    ["/v1/trees/{tree}/diff", {}, "?from=2"],
    ["/v1/trees/{tree}/events", {}, "?reveal=true&type=call"],
    ["/v1/trees/{tree}/events", {}, "?decision=deny"],
    ...["", "/story"].map((path) => [`/v1/calls/{tree}/{seq}${path}`] as const),
    ["/v1/effects"],
    ["/v1/trees/{tree}/effects", {}, "?open=true"],
    ["/v1/trees/{tree}/effects", {}, `?pid=${pid}&limit=1`],
    ["/v1/trees/{tree}/policy/unused"],
    ...["", "/plan"].map((path) => [`/v1/trees/{tree}/retention${path}`] as const),
    ["/v1/processes/{pid}/least-authority"],
    ["/v1/checkpoints"],
    ["/v1/checkpoints/{id}", { id: checkpoint }],
    ["/v1/checkpoints/{id}/preview", { id: checkpoint }],
    ["/v1/tools"],
    ["/v1/images"],
    ["/v1/images/{image}", { image: "worker@1" }],
    ["/v1/tokens"],
  ];
  for (const [path, more, query] of READS) {
    await get(at, document, path, { ...given, ...more }, query);
  }
  const asked = new Set([["/v1/objects"], ...READS].map(([path]) => path));
  const STREAMS = ["/v1/events", "/v1/processes/{pid}/events", "/v1/tools/{hash}", "/v1/audit"];
  const left = Object.entries(document.paths)
    .filter(([path, methods]) =>
      methods["get"] !== undefined && !asked.has(path) && !STREAMS.includes(path) &&
      !/approvals|tools|packages|(content|export|metrics)$/.test(path)
    )
    .map(([path]) => path);
  assert.deepEqual(left, [], "each of them was asked");
});

Deno.test("Processes are listed page by page, each once, in a fixed order", async () => {
  const { at, document } = await started();
  await using _ = at;
  for (let i = 0; i < 7; i++) await at.runtime.spawn(worker, { goal: `work ${i}` });
  await at.runtime.runUntilIdle();
  const seen: string[] = [];
  let next: string | null = null;
  do {
    const query: string = `?limit=3${next === null ? "" : `&after=${next}`}`;
    const page = await get(at, document, "/v1/processes", {}, query) as {
      items: { pid: string }[];
      next: string | null;
    };
    seen.push(...page.items.map(({ pid }) => pid));
    next = page.next;
  } while (next !== null);
  assert.deepEqual(seen, ["p_1", "p_2", "p_3", "p_4", "p_5", "p_6", "p_7", "p_8"]);
});

Deno.test("A process is started, talked to, stopped, and each act is its principal's in the log", async () => {
  const { at, document } = await started();
  await using _ = at;
  const headers = { "idempotency-key": "once" };
  const wish = { image: "worker", goal: "again", grants: ["allow file.read(./**)"] };
  const made = await at.post("operator", "/v1/processes", wish, { headers });
  assert.equal(made.status, 201);
  const where = made.headers.get("location")!;
  const { pid } = await fitting(document, made, { method: "post", path: "/v1/processes" });
  assert.equal(where, `/v1/processes/${pid}`);
  const again = await at.post("operator", "/v1/processes", wish, { headers });
  assert.equal((await again.json()).pid, pid);
  for (const [role, status] of [["viewer", 403], ["approver", 403]] as const) {
    assert.equal((await at.post(role, "/v1/processes", wish)).status, status);
  }
  await at.runtime.runUntilIdle();
  const message = await at.post("operator", `${where}/messages`, { data: "hello" });
  assert.equal(message.status, 200);
  const killed = await at.post("operator", `${where}/signals`, { signal: "kill", reason: "done" });
  assert.equal((await killed.json()).outcome.by, "operator");
  const waited = await (await at.ask("viewer", `${where}/wait?timeoutMs=1000`)).json();
  assert.equal(waited.ended, true);
  const log = await Array.fromAsync(at.runtime.log(`t_${String(pid).slice(2)}` as `t_${number}`));
  const taken = log.filter(({ type }) => type === "inbox.taken").map(({ data }) => data);
  assert.deepEqual(taken.map((one) => (one as { by: string }).by), ["person:operator", "operator"]);
});

Deno.test("A right is given and taken back over the API, and the log says by whom", async () => {
  const { at, process, document } = await started();
  await using _ = at;
  const path = `/v1/processes/${process.pid}/capabilities`;
  const made = await at.post("operator", path, { rule: "file.read(./notes/**)", uses: 2 });
  assert.equal(made.status, 201, await made.clone().text());
  const route = { method: "post", path: "/v1/processes/{pid}/capabilities" };
  const cap = await fitting(document, made, route) as { id: string; by: string; usesMax: number };
  assert.equal(cap.by, "operator");
  assert.equal(cap.usesMax, 2);
  const over = await at.post("operator", path, { rule: "net.fetch(https://x.test/**)" });
  assert.equal(over.status, 403);
  assert.equal((await over.json()).code, "EPERM");
  const gone = await at.ask("operator", `/v1/capabilities/${cap.id}?reason=test`, {
    method: "DELETE",
  });
  assert.equal(gone.status, 204);
  const twice = await at.ask("operator", `/v1/capabilities/${cap.id}`, { method: "DELETE" });
  assert.equal(twice.status, 404);
  await twice.body?.cancel();
});

Deno.test("Uses of capabilities, refused lines and every budget are listed as the log has them", async () => {
  const { at, process } = await started();
  await using _ = at;
  const tree = `t_${process.pid.slice(2)}`;
  const all = async <T>(path: string): Promise<T[]> =>
    (await (await at.ask("viewer", path)).json()).items;
  const caps = await all<{ right: string; used: { calls: number; lastAt: string | null } | null }>(
    `/v1/capabilities?tree=${tree}&uses=true`,
  );
  const used = caps.map(({ right, used }) => [right, used?.calls, used?.lastAt !== null]);
  assert.deepEqual(used, [
    ["object.*", 2, true],
    ["file.read", 1, true],
    ["file.write", 0, false],
  ]);
  const plain = await all<{ used: unknown }>("/v1/capabilities");
  assert(plain.every(({ used }) => used === null));
  assert.equal((await at.ask("viewer", "/v1/capabilities?uses=true")).status, 400);
  const decided = await all<{ decision: string }>(`/v1/trees/${tree}/events?decision=allow`);
  assert(decided.length >= 3 && decided.every(({ decision }) => decision === "allow"));
  assert.deepEqual(await all(`/v1/trees/${tree}/events?decision=deny`), []);
  const [budget, ...others] = await all<{ pid: string; limits: unknown; goal: string }>(
    "/v1/budgets",
  );
  assert.deepEqual([budget?.pid, budget?.limits, budget?.goal, others], [
    process.pid,
    { tokens: 1_000 },
    "work",
    [],
  ]);
});

Deno.test("What differs is said between the lines that two checkpoints name", async () => {
  const { at, process } = await started();
  await using _ = at;
  const [one, two] = [await process.checkpoint("one"), await process.checkpoint("two")];
  const seqs = await Promise.all(
    [one, two].map(async (id) =>
      (await (await at.ask("viewer", `/v1/checkpoints/${id}`)).json()).seq
    ),
  );
  const path = `/v1/trees/t_${process.pid.slice(2)}/diff?from=${one}&to=${two}`;
  await process.checkpoint("three");
  const { from, to, items } = await (await at.ask("viewer", path)).json();
  assert.deepEqual([from, to], seqs);
  assert.deepEqual(items.map(({ part, id }: { part: string; id: string }) => [part, id]), [[
    "checkpoints",
    two,
  ]]);
});

Deno.test("An object's content is shown to operators only, and the log says who looked", async () => {
  const { at, process } = await started();
  await using _ = at;
  const { items } = await (await at.ask("viewer", "/v1/objects?name=note")).json();
  const path = `/v1/objects/${items[0].id}/versions/1`;
  assert.equal((await (await at.ask("viewer", path)).json()).value, undefined);
  const refused = await at.ask("viewer", `${path}?reveal=true`);
  assert.equal(refused.status, 403);
  await refused.body?.cancel();
  assert.equal(
    (await (await at.ask("operator", `${path}?reveal=true`)).json()).value,
    "secret words",
  );
  const log = await Array.fromAsync(at.runtime.log(`t_${process.pid.slice(2)}` as `t_${number}`));
  const looks = log.filter(({ type, data }) =>
    type === "inbox.taken" && (data as { what: string }).what.startsWith("reveal ")
  );
  assert.deepEqual(looks.map(({ data }) => (data as { by: string }).by), ["operator"]);
});

Deno.test("A policy is replaced only as it was read, when the one who replaces it says so", async () => {
  const { at } = await started();
  await using _ = at;
  const path = "/v1/trees/t_1/policy";
  const etag = (await at.ask("viewer", path)).headers.get("etag")!;
  const put = (text: string, match?: string) =>
    at.ask("admin", path, {
      method: "PUT",
      body: JSON.stringify({ text }),
      headers: {
        "content-type": "application/json",
        ...(match === undefined ? {} : { "if-match": match }),
      },
    });
  assert.equal((await put("deny file.move(**)", etag)).status, 200);
  const late = await put("deny file.remove(**)", '"1"');
  assert.equal(late.status, 412);
  assert.equal((await late.json()).code, "precondition_failed");
  const bad = await put("alow file.read(**)");
  assert.equal(bad.status, 400);
  assert.match((await bad.json()).detail, /did you mean/i);
});

Deno.test("A tree goes back and branches off over the API, and says before what that would do", async () => {
  const { at, process, document } = await started();
  await using _ = at;
  const made = await at.post("operator", `/v1/processes/${process.pid}/checkpoints`, {
    name: "here",
  });
  const { id } = await fitting(document, made, {
    method: "post",
    path: "/v1/processes/{pid}/checkpoints",
  });
  const forked = await at.post("operator", `/v1/checkpoints/${id}/fork`, { goal: "otherwise" });
  assert.equal(forked.status, 201, await forked.clone().text());
  const child = await fitting(document, forked, {
    method: "post",
    path: "/v1/checkpoints/{id}/fork",
  });
  assert.notEqual(child["pid"], process.pid);
  assert.equal(child["tree"], "t_2");
  const back = await at.post("operator", `/v1/checkpoints/${id}/rollback`, {});
  assert.equal(back.status, 200, await back.clone().text());
  await fitting(document, back, { method: "post", path: "/v1/checkpoints/{id}/rollback" });
  const checked = await at.post("viewer", "/v1/audit/verify", {});
  const found = await fitting(document, checked, { method: "post", path: "/v1/audit/verify" });
  assert.equal(found["ok"], true);
});

Deno.test("What is absent, malformed or of another's labels is refused in the same way everywhere", async () => {
  const { at } = await started();
  await using _ = at;
  const { secret } = at.server.tokens.create({ name: "b", role: "admin", labels: { team: "b" } });
  const headers = { authorization: `Bearer ${secret}` };
  const PATHS = [
    "/v1/processes/p_1",
    "/v1/processes/p_1/timeline",
    "/v1/processes/p_1/conversation",
    "/v1/trees/t_1",
    "/v1/trees/t_1/events",
    "/v1/trees/t_1/state",
    "/v1/objects/obj_1.1",
    "/v1/calls/t_1/5",
    "/v1/calls/t_1/5/story",
    "/v1/audit?tree=t_1",
  ];
  for (const path of PATHS) {
    const theirs = await at.ask(null, path, { headers });
    const absent = await at.ask("admin", path.replace(/_1(\.1)?/, "_9999$1"));
    assert.equal(theirs.status, 404, path);
    assert.equal(absent.status, 404, path);
    const strip = (text: string): string => text.replaceAll(/_\d+(\.\d+)?/g, "_N");
    assert.equal(strip((await theirs.json()).detail), strip((await absent.json()).detail), path);
  }
  const lists = [
    "/v1/processes",
    "/v1/objects",
    "/v1/capabilities",
    "/v1/trees",
    "/v1/checkpoints",
  ];
  for (const path of lists) {
    const { items } = await (await at.ask(null, path, { headers })).json();
    assert.deepEqual(items, [], path);
  }
  for (const path of ["/v1/processes/x", "/v1/objects/obj_1", "/v1/calls/t_1/-1", "/v1/trees/1"]) {
    const answer = await at.ask("admin", path);
    assert.equal(answer.status, 400, path);
    assert.equal((await answer.json()).code, "EINVAL", path);
  }
});

Deno.test("The types of the client are what the document says", async () => {
  await using at = await serverPlace();
  const { components } = at.server.openapi() as {
    readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
  };
  const words = (text: string): string => text.match(/\w+/g)!.join(" ");
  const kept = await Deno.readTextFile(new URL("../server/wire.ts", import.meta.url));
  assert.equal(words(kept), words(wireTypes(components.schemas)), "deno task generate");
});

Deno.test("The client starts a process, hears what it does, and is refused as the API refuses", async () => {
  const { at } = await started();
  await using _ = at;
  const client = connect(at.server.url, { token: at.secrets.operator });
  const stop = new AbortController();
  const events = client.events({ signal: stop.signal });
  assert.equal((await events.next()).value!.kind, "reset");
  const process = await client.spawn({ image: "worker", goal: "by the client" });
  for await (const event of events) {
    if (event.kind === "process.state" && event.pid === process.pid) break;
  }
  stop.abort();
  assert.deepEqual((await client.ps()).map(({ pid }) => pid), ["p_1", "p_2"]);
  assert.equal((await client.signal(process.pid, "kill")).state, "ended");
  assert.equal((await client.wait(process.pid)).ended, true);
  await assert.rejects(client.process("p_9"), { name: "SysError", code: "ENOENT" });
  const viewer = connect(at.server.url, { token: at.secrets.viewer });
  await assert.rejects(viewer.signal("p_1", "kill"), {
    name: "ServerRefusal",
    code: "role_too_low",
    status: 403,
  });
  const nobody = connect("http://127.0.0.1:1", { token: "x" });
  await assert.rejects(nobody.whoami(), { name: "SysError", code: "EIO" });
});
