/**
 * Images made of processes over the API: what they take along, who may, and what stays.
 * @module
 */

import assert from "node:assert/strict";
import { allow, defineImage } from "../mod.ts";
import { memoryFile } from "../providers/private_file.ts";
import { connect } from "../server/client.ts";
import { scratch } from "./scratch.ts";
import { type Document, fitting } from "./server_shape.ts";
import { type ServerPlace, serverPlace } from "./server_place.ts";

const SOURCE =
  "export default ({ text }) => ({ words: text.split(/\\s+/).filter(Boolean).length });";

/** Writes a tool when told to; else uses it. */
const maker = defineImage({
  name: "maker",
  instructions: "Write the tools you need",
  program: async ({ sys, goal, input }) => {
    if (goal === "wait") await sys.clock.sleep({ ms: 86_400_000 });
    if (goal === "make") {
      const inputSchema = {
        type: "object",
        properties: { text: { type: "string" } },
        required: ["text"],
      };
      const { tool } = await sys.tool.propose({
        name: "count_words",
        description: "Counts words",
        inputSchema,
        source: SOURCE,
      });
      await sys.tool.register({ tool });
      await sys.clock.sleep({ ms: 86_400_000 });
    }
    const { output } = await sys.tool.call({ name: "count_words", input: { text: input } });
    await sys.process.exit({ result: output as null });
  },
});

async function place(
  given: { readonly store?: string; readonly file?: ReturnType<typeof memoryFile> } = {},
): Promise<ServerPlace> {
  return await serverPlace({
    runtime: {
      jit: { review: "never" },
      images: [maker],
      ...(given.store === undefined ? {} : { store: given.store }),
    },
    serve: {
      images: [maker],
      failed: (thrown) => assert.fail(String(thrown)),
      ...(given.file === undefined ? {} : { madeImages: given.file }),
    },
  });
}

async function started(at: ServerPlace, goal: string, labels = {}): Promise<string> {
  const grants = [allow("tool.register", "**")];
  const { pid } = await at.runtime.spawn(maker, { goal, grants, labels });
  await at.runtime.runUntilIdle();
  return pid;
}

Deno.test("A tool that a model wrote is promoted into an image, and a new process of it uses it", async () => {
  await using at = await place();
  const pid = await started(at, "make");
  const document = await (await at.ask(null, "/openapi.json")).json() as Document;
  const answer = await at.post("operator", "/v1/images", { pid, name: "counter", version: "2" });
  assert.equal(answer.status, 201);
  assert.equal(answer.headers.get("location"), "/v1/images/counter@2");
  const made = await fitting(document, answer, { method: "post", path: "/v1/images" });
  const { items: tools } = await (await at.ask("viewer", `/v1/processes/${pid}/tools`)).json();
  const [{ hash }] = tools;
  assert.deepEqual(made["generated"], [{ name: "count_words", hash }], "by hash");
  assert.equal((made["made"] as { by: string }).by, "operator");

  const client = connect(at.server.url, { token: at.secrets.operator });
  const { pid: fresh } = await client.spawn({
    image: "counter@2",
    goal: "use",
    input: "one two three",
  });
  assert.deepEqual((await client.wait(fresh)).result, { words: 3 });
  assert.equal((await client.process(fresh)).image, "counter@2");

  const { made: of } = made as { made: { checkpoint: string; seq: number } };
  const checkpoint = await (await at.ask("viewer", `/v1/checkpoints/${of.checkpoint}`)).json();
  assert.deepEqual(
    [checkpoint.name, checkpoint.by, checkpoint.seq],
    ["image counter@2", "operator", of.seq],
    "who made it of what is in the log",
  );
});

Deno.test("An image that was made is there after a restart, folded from the log, with its code", async () => {
  const folder = scratch();
  const file = memoryFile();
  const store = `${folder}/libos.db`;
  let hash = "";
  {
    await using at = await place({ store, file });
    const client = connect(at.server.url, { token: at.secrets.operator });
    ({ hash } = await client.commit(await started(at, "make"), "counter"));
    // One of an image that was itself made has the code of the first.
    const { pid } = await client.spawn({ image: "counter", goal: "wait" });
    await at.runtime.runUntilIdle();
    await client.commit(pid, "waiter");
    assert(!file.read()!.includes("split"), "what the image holds stays in the store");
  }
  await using at = await place({ store, file });
  const client = connect(at.server.url, { token: at.secrets.operator });
  assert.deepEqual((await client.images()).map(({ ref }) => ref), [
    "maker@1",
    "counter@1",
    "waiter@1",
  ]);
  assert.equal((await client.get<{ hash: string }>("/v1/images/counter")).hash, hash);
  const { pid } = await client.spawn({ image: "waiter", goal: "use", input: "a b" });
  assert.deepEqual((await client.wait(pid)).result, { words: 2 });
});

Deno.test("A name means one image for good, and the same image under it again changes nothing", async () => {
  await using at = await place();
  const [one, other] = [await started(at, "make"), await started(at, "wait")];
  const wish = { pid: one, name: "counter" };
  const made = await (await at.post("operator", "/v1/images", wish)).json();
  const again = await at.post("operator", "/v1/images", wish);
  assert.equal(again.status, 200);
  assert.deepEqual(await again.json(), made);
  const { items } = await (await at.ask("viewer", "/v1/checkpoints")).json();
  assert.equal(items.length, 1, "nothing was written twice");

  const taken = await at.post("operator", "/v1/images", { ...wish, pid: other });
  assert.equal(taken.status, 409);
  assert.match((await taken.json()).detail, /^Cannot make image "counter@1": it is another one/);
  const given = await at.post("operator", "/v1/images", { pid: one, name: "maker" });
  assert.equal(given.status, 409, "nor one that the server was given");

  assert.equal((await at.post("operator", "/v1/images", { ...wish, version: "2" })).status, 201);
  const unclear = await at.post("operator", "/v1/processes", { image: "counter", goal: "-" });
  assert.equal(unclear.status, 400);
  assert.match((await unclear.json()).detail, /it has 2 versions, expected one of counter@1, co/);

  const both = await Promise.all(
    [1, 2].map(() =>
      at.post("operator", "/v1/images", { pid: one, name: "at-once" }, {
        headers: { "idempotency-key": "k1" },
      })
    ),
  );
  assert.deepEqual(both.map(({ status }) => status), [201, 201]);
  assert.deepEqual(await both[0]!.json(), await both[1]!.json());
});

Deno.test("Making an image is for operators who see the process; others do not see the image", async () => {
  await using at = await place();
  const pid = await started(at, "make", { team: "a" });
  const wish = { pid, name: "counter" };
  for (const role of ["viewer", "approver"] as const) {
    assert.equal((await at.post(role, "/v1/images", wish)).status, 403, role);
  }
  const token = (labels: Record<string, string>): string =>
    at.server.tokens.create({ name: "own", role: "operator", labels }).secret;
  const [ours, theirs] = [token({ team: "a" }), token({ team: "b" })]
    .map((secret) => connect(at.server.url, { token: secret }));
  await assert.rejects(theirs!.commit(pid, "stolen"), /Cannot find process/);
  await ours!.commit(pid, "counter");
  assert.deepEqual((await ours!.images()).map(({ ref }) => ref), ["maker@1", "counter@1"]);
  assert.deepEqual((await theirs!.images()).map(({ ref }) => ref), ["maker@1"]);
  const wishes = { image: "counter@1", goal: "use" };
  await assert.rejects(theirs!.spawn(wishes), /Cannot find image "counter@1": unknown/);
  const own = await started(at, "make", { team: "b" });
  await assert.rejects(
    theirs!.commit(own, "counter"),
    /"counter@1": it is another one, expected another version$/,
    "the same image of a tree that they do not see: no word of its hash",
  );

  for (
    const [bad, status] of [
      [{ ...wish, name: "Upper" }, 400],
      [{ ...wish, version: "a b" }, 400],
      [{ ...wish, pid: "p_" }, 400],
      [{ ...wish, pid: "p_99" }, 404],
      [{ ...wish, grants: [] }, 400],
      [{}, 400],
    ] as const
  ) {
    const answer = await at.post("operator", "/v1/images", bad);
    assert.equal(answer.status, status, JSON.stringify(bad));
    assert.match(answer.headers.get("content-type")!, /^application\/problem\+json/);
  }
});
