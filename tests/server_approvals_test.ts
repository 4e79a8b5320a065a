/**
 * Approvals over a real socket: who may decide, what a decision is bound to, exactly one wins.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask, defineImage } from "../mod.ts";
import { VirtualClock } from "../testing.ts";
import { FakeWorkshop, install } from "./fake_sandbox.ts";
import { type ServerPlace, serverPlace } from "./server_place.ts";
import { type Document, fitting } from "./server_shape.ts";

const writer = defineImage({
  name: "writer",
  program: async ({ sys, goal }) => {
    const said = await sys.file.write({ path: goal, text: "hello\n" }).then(
      () => "written",
      ({ code, message }) => `${code} ${message}`,
    );
    await sys.process.exit({ result: said });
  },
});

const asker = defineImage({
  name: "asker",
  program: async ({ sys }) => {
    const schema = {
      type: "object",
      properties: { port: { type: "integer" } },
      required: ["port"],
    };
    const { answer } = await sys.human.ask({ prompt: "Which port?", schema });
    await sys.process.exit({ result: answer });
  },
});

interface Shown {
  readonly id: string;
  readonly call: { readonly argsHash: string; readonly args: Record<string, unknown> };
  readonly mayDecide: boolean;
}

async function asked(goals: readonly string[] = ["./out/a.md"], by?: string) {
  const workspace = await Deno.makeTempDir();
  await Deno.mkdir(`${workspace}/out`);
  const clock = new VirtualClock(Date.UTC(2030, 0, 1));
  const at = await serverPlace({
    runtime: { workspace, clock, autorun: false },
    serve: { clock },
  });
  const processes = [];
  for (const goal of goals) {
    processes.push(
      await at.runtime.spawn(writer, {
        goal,
        grants: [ask("file.write", "./out/**")],
        ...(by === undefined ? {} : { by }),
      }),
    );
  }
  await at.runtime.runUntilIdle();
  const document = await (await at.ask(null, "/openapi.json")).json() as Document;
  const { items } = await fitting(document, await at.ask("approver", "/v1/approvals"), {
    method: "get",
    path: "/v1/approvals",
  }) as unknown as { readonly items: readonly Shown[] };
  const decide = (
    role: Parameters<ServerPlace["post"]>[0],
    one: Shown,
    decision: unknown,
    hash?: string,
  ) =>
    at.post(role, `/v1/approvals/${one.id}/decision`, {
      decision,
      argsHash: hash ?? one.call.argsHash,
    });
  return { at, processes, items, decide, document, workspace, clock };
}

Deno.test("An approver's yes lets exactly the call through that was shown", async () => {
  const { at, processes: [process], items: [one], decide, document, workspace } = await asked();
  await using _ = at;
  await fitting(document, await at.ask("viewer", `/v1/approvals/${one!.id}`), {
    method: "get",
    path: "/v1/approvals/{id}",
  });
  const { preview } = await (await at.ask("approver", `/v1/approvals/${one!.id}`)).json();
  assert.deepEqual(preview, {
    kind: "diff",
    body: "@ a new file, 6 bytes afterwards\n+ hello\n+",
    added: 2,
    removed: 0,
  });
  const answer = await decide("approver", one!, { outcome: "approve" });
  assert.equal(answer.status, 200, await answer.clone().text());
  const route = { method: "post", path: "/v1/approvals/{id}/decision" };
  const { request, grants } = await fitting(document, answer, route) as {
    request: { status: string; by: string };
    grants: string[];
  };
  assert.deepEqual([request.status, request.by, grants.length], ["approved", "approver", 1]);
  await at.runtime.runUntilIdle();
  assert.equal((await process!.wait()).result, "written");
  assert.equal(await Deno.readTextFile(`${workspace}/out/a.md`), "hello\n");
});

Deno.test("A decision is refused which is stale, unbound, second, too low, too late, or one's own", async () => {
  const { at, items, decide, clock } = await asked(["./out/a.md", "./out/b.md", "./out/c.md"]);
  await using _ = at;
  const [one, two, three] = items;
  const code = async (answer: Promise<Response>): Promise<[number, string]> => {
    const got = await answer;
    return [got.status, (await got.json()).code];
  };
  const yes = { outcome: "approve" };
  assert.deepEqual(await code(decide("approver", one!, yes, "0".repeat(64))), [409, "ESTALE"]);
  const unbound = at.post("approver", `/v1/approvals/${one!.id}/decision`, { decision: yes });
  assert.deepEqual(await code(unbound), [400, "EINVAL"]);
  assert.deepEqual(await code(decide("viewer", one!, yes)), [403, "role_too_low"]);
  assert.equal((await decide("approver", one!, yes)).status, 200);
  assert.deepEqual(await code(decide("admin", one!, { outcome: "deny" })), [409, "ESTATE"]);
  const absent = at.post("approver", "/v1/approvals/req_1.99/decision", { decision: yes });
  assert.deepEqual(await code(absent), [404, "ENOENT"]);
  // Nothing was said of an end, so there is the usual one, and who decides is told.
  const { lasts } = await (await at.ask("approver", `/v1/approvals/${two!.id}`)).json();
  assert.deepEqual(lasts.slice(0, 2), [
    { scope: "once", forMs: 900_000 },
    { scope: "process", forMs: 900_000 },
  ]);
  assert.deepEqual(lasts.at(-1), { scope: "image", forMs: 28_800_000 });
  const wider = await decide("approver", two!, { outcome: "approve", scope: "process" });
  assert.equal(wider.status, 200);
  const { grantsUntil } = await wider.json();
  assert.equal(Date.parse(grantsUntil), clock.now() + 900_000);
  await clock.advance(2 * 3_600_000);
  await at.runtime.runUntilIdle();
  assert.deepEqual(await code(decide("approver", three!, yes)), [410, "EEXPIRED"]);
});

Deno.test("Nobody decides what their own token asked for", async () => {
  const { at, items: [one], decide } = await asked(["./out/a.md"], "approver");
  await using _ = at;
  const { mayDecide } = await (await at.ask("approver", `/v1/approvals/${one!.id}`)).json();
  assert.equal(mayDecide, false);
  const edit = { outcome: "edit", args: one!.call.args };
  for (const decision of [{ outcome: "approve" }, edit]) {
    const own = await decide("approver", one!, decision);
    assert.equal(own.status, 403);
    assert.equal((await own.json()).code, "own_request");
  }
  const batch = await at.post("approver", "/v1/approvals/decide", {
    items: [{ id: one!.id, argsHash: one!.call.argsHash }],
    decision: { outcome: "approve", resource: "./out/*.md" },
  });
  assert.equal((await batch.json()).code, "own_request");
  assert.equal((await decide("admin", one!, { outcome: "approve" })).status, 200);
});

Deno.test("Of many who decide at once, exactly one wins", async () => {
  const { at, processes: [process], items: [one], decide } = await asked();
  await using _ = at;
  const decisions = [1, 2, 3, 4].flatMap(() => [
    decide("approver", one!, { outcome: "approve" }),
    decide("admin", one!, { outcome: "deny", reason: "no" }),
  ]);
  const answers = await Promise.all(decisions);
  const codes = answers.map(({ status }) => status);
  await Promise.all(answers.map((answer) => answer.body?.cancel()));
  assert.deepEqual(codes.filter((status) => status === 200).length, 1, String(codes));
  assert(codes.every((status) => status === 200 || status === 409), String(codes));
  await at.runtime.runUntilIdle();
  const { result } = await process!.wait();
  const isApproved = codes.findIndex((status) => status === 200) % 2 === 0;
  assert.equal(result === "written", isApproved);
});

Deno.test("A no tells the agent why; an edit does what was edited, within what was held", async () => {
  const { at, processes, items, decide, workspace } = await asked(["./out/a.md", "./out/b.md"]);
  await using _ = at;
  const reason = "use the draft";
  assert.equal((await decide("approver", items[0]!, { outcome: "deny", reason })).status, 200);
  const args = items[1]!.call.args;
  const outside = await decide("approver", items[1]!, {
    outcome: "edit",
    args: { ...args, path: "./elsewhere.md" },
  });
  assert.equal(outside.status, 403, await outside.clone().text());
  await outside.body?.cancel();
  const misfit = await decide("approver", items[1]!, { outcome: "edit", args: { path: 7 } });
  assert.equal(misfit.status, 400);
  await misfit.body?.cancel();
  const edited = await decide("approver", items[1]!, {
    outcome: "edit",
    args: { ...args, text: "better\n" },
  });
  assert.equal(edited.status, 200, await edited.clone().text());
  await edited.body?.cancel();
  await at.runtime.runUntilIdle();
  assert.match(String((await processes[0]!.wait()).result), /EACCES.*use the draft/);
  assert.equal(await Deno.readTextFile(`${workspace}/out/b.md`), "better\n");
});

Deno.test("A rule shows what it would have matched before it is given, and answers alike requests", async () => {
  const { at, items, document } = await asked(["./out/a.md", "./out/b.md", "./out/c.md"]);
  await using _ = at;
  const path = `/v1/approvals/${items[0]!.id}/matches`;
  const query = (resource: string) => `${path}?resource=${encodeURIComponent(resource)}`;
  const route = { method: "get", path: "/v1/approvals/{id}/matches" };
  const good = await fitting(document, await at.ask("approver", query("./out/*.md")), route);
  assert.equal(good["problem"], null);
  const bad = await fitting(document, await at.ask("approver", query("./secret/**")), route);
  assert.notEqual(bad["problem"], null);
  const batch = await at.post("approver", "/v1/approvals/decide", {
    items: items.map(({ id, call }) => ({ id, argsHash: call.argsHash })),
    decision: { outcome: "approve", resource: "./out/*.md" },
  });
  assert.equal(batch.status, 200, await batch.clone().text());
  const { items: decided } = await fitting(document, batch, {
    method: "post",
    path: "/v1/approvals/decide",
  }) as { items: { ok: boolean }[] };
  assert.deepEqual(decided.map(({ ok }) => ok), [true, true, true]);
});

Deno.test("A question is answered by its schema, and an answer that does not fit is refused", async () => {
  await using at = await serverPlace({ runtime: { autorun: false } });
  const process = await at.runtime.spawn(asker, { goal: "ask", grants: [allow("human.ask")] });
  await at.runtime.runUntilIdle();
  const { items: [one] } = await (await at.ask("viewer", "/v1/approvals?kind=question")).json();
  assert.equal(one.call, null);
  const answer = (value: unknown) =>
    at.post("approver", `/v1/approvals/${one.id}/decision`, {
      decision: { outcome: "answer", value },
    });
  const misfit = await answer({ port: "high" });
  assert.equal(misfit.status, 400);
  await misfit.body?.cancel();
  assert.equal((await answer({ port: 8_080 })).status, 200);
  await at.runtime.runUntilIdle();
  assert.deepEqual((await process.wait()).result, { port: 8_080 });
});

Deno.test("A request says which generated tool asks, and which version of it; others name none", async () => {
  const shop = FakeWorkshop.of({ question: (_, os) => os.call("human.ask", { prompt: "?" }) });
  const jit = { review: "never", workshop: { sandbox: shop, compiler: shop } } as const;
  await using at = await serverPlace({ runtime: { autorun: false, jit } });
  let hash = "";
  const maker = defineImage({
    name: "maker",
    program: async ({ sys }) => {
      hash = await install(sys, "question", { rights: ["human.ask"] });
      await sys.tool.call({ name: "question" });
    },
  });
  const grants = [allow("human.ask"), allow("tool.register", "**")];
  for (const image of [maker, asker]) await at.runtime.spawn(image, { goal: "ask", grants });
  await at.runtime.runUntilIdle();
  const { items } = await (await at.ask("approver", "/v1/approvals")).json();
  const tools = items.map(({ image, tool }: { image: string; tool: unknown }) => [image, tool]);
  assert.deepEqual(Object.fromEntries(tools), {
    "maker@1": { name: "question", hash },
    "asker@1": null,
  });
});

Deno.test("A yes is for who was shown to ask: another who joined meanwhile makes it stale, a no does not", async () => {
  const pair = defineImage({
    name: "pair",
    program: async ({ sys, goal }) => {
      if (goal === "first") {
        await sys.process.fork({ goal: "second" });
        await sys.clock.sleep({ ms: 1_000 });
      } else await sys.clock.sleep({ ms: 2_000 });
      const wrote = sys.file.write({ path: "./a.md", text: "the same" });
      const said = await wrote.then(() => "written", (error) => error.code);
      await sys.process.exit({ result: said });
    },
  });
  const workspace = await Deno.makeTempDir();
  for (const outcome of ["approve", "deny"]) {
    const clock = new VirtualClock(Date.UTC(2030, 0, 1));
    await using at = await serverPlace({
      runtime: { workspace, clock, autorun: false },
      serve: { clock },
    });
    const grants = [ask("file.write", "./**"), allow("process.fork", "**")];
    const parent = await at.runtime.spawn(pair, { goal: "first", grants });
    const later = async (ms: number) => {
      await clock.advance(ms);
      await at.runtime.runUntilIdle();
    };
    await at.runtime.runUntilIdle();
    await later(1_000);
    const shown = async () => (await (await at.ask("viewer", "/v1/approvals")).json()).items;
    const [one] = await shown();
    const path = `/v1/approvals/${one.id}/decision`;
    const decision = { outcome };
    const say = (askers: number | undefined) =>
      at.post("approver", path, { decision, argsHash: one.call.argsHash, askers });
    await later(1_000);
    assert.equal((await shown())[0].askers.length, 2);
    if (outcome === "approve") {
      for (const askers of [undefined, 1]) {
        const refused = await say(askers);
        assert.deepEqual([refused.status, (await refused.json()).code], [409, "ESTALE"]);
      }
      assert.equal((await shown()).length, 1);
    }
    assert.equal((await say(outcome === "approve" ? 2 : 1)).status, 200);
    await at.runtime.runUntilIdle();
    assert.equal((await parent.wait()).result, outcome === "approve" ? "written" : "EACCES");
  }
  await Deno.remove(workspace, { recursive: true });
});
