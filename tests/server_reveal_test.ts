/**
 * Values over the API: nobody below their role sees one, and who looks at one is in the log.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask, defineImage, type Model } from "../mod.ts";
import { LIMITS } from "../kernel/limits.ts";
import { VirtualClock } from "../testing.ts";
import { scratch } from "./scratch.ts";
import { code } from "./server_attack_place.ts";
import { type ServerPlace, serverPlace } from "./server_place.ts";

/** Stands in each value, and nowhere else. */
const SECRET = "s3cr3t";

/** Says half of what it has to say, and never the rest. */
const model: Model = {
  id: "test/slow",
  generate: (_, { signal, onText }) => {
    onText?.(`${SECRET} spoken`);
    return new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  },
};

const worker = defineImage({
  name: "worker",
  program: async ({ sys }) => {
    await sys.object.create({ name: "note", type: "text", value: `${SECRET} noted` });
    await sys.file.read({ path: "./in.txt" });
    await sys.message.send({ to: "p_1", type: "text", data: `${SECRET} sent` });
    await sys.message.receive({});
    await sys.human.ask({ prompt: "Which word?" });
    await sys.file.write({ path: "./out/a.txt", text: `${SECRET} edited` });
    await sys.process.exit({ result: `${SECRET} returned` });
  },
});
const writer = defineImage({
  name: "writer",
  program: async ({ sys }) => {
    await sys.file.write({ path: "./out/b.txt", text: `${SECRET} written\n` });
  },
});
const talker = defineImage({ name: "talker", instructions: "Talk.", model });

async function started() {
  const workspace = scratch();
  await Deno.mkdir(`${workspace}/out`);
  await Deno.writeTextFile(`${workspace}/in.txt`, `${SECRET} read`);
  await Deno.writeTextFile(`${workspace}/out/b.txt`, `${SECRET} before\n`);
  const clock = new VirtualClock(Date.UTC(2030, 0, 1));
  const at = await serverPlace({
    runtime: { workspace, clock, autorun: false, audit: { every: "1d" } },
    serve: { clock },
  });
  const grants = [allow("file.read", "./**"), ask("file.write", "./out/**")];
  await at.runtime.spawn(worker, {
    goal: "work",
    input: `${SECRET} given`,
    grants: [...grants, allow("message.send", "**"), allow("human.ask", "**")],
  });
  await at.runtime.spawn(writer, { goal: "write", grants });
  await at.runtime.runUntilIdle();
  await answered(at, { outcome: "answer", value: `${SECRET} answered` });
  const args = { path: "./out/a.txt", text: `${SECRET} changed`, encoding: "utf8", mode: "either" };
  await answered(at, { outcome: "edit", args });
  return { at, clock, workspace };
}

/** Answers the first request of the first tree. */
async function answered(at: ServerPlace, decision: unknown): Promise<void> {
  const { items } = await (await at.ask("approver", "/v1/approvals?tree=t_1")).json();
  const [{ id, call }] = items;
  const answer = await at.post("approver", `/v1/approvals/${id}/decision`, {
    decision,
    ...(call === null ? {} : { argsHash: call.argsHash }),
  });
  assert.equal(answer.status, 200, await answer.clone().text());
  await answer.body?.cancel();
  await at.runtime.runUntilIdle();
}

/** Every address that reads, with each of what there is to name in it. */
async function readable(at: ServerPlace): Promise<string[]> {
  const { paths } = await (await at.ask(null, "/openapi.json")).json();
  const { items: objects } = await (await at.ask("viewer", "/v1/objects")).json();
  const { items: asked } = await (await at.ask("viewer", "/v1/approvals?status=all")).json();
  const lines = at.runtime.node.trees.find(({ state }) => state.tree === "t_1")!.state.seq;
  const names: Record<string, readonly (string | number)[]> = {
    pid: ["p_1", "p_2"],
    tree: ["t_1", "t_2"],
    n: [1],
    seq: Array.from({ length: lines }, (_, i) => i + 1),
    id: [...objects, ...asked].map(({ id }: { id: string }) => id),
    hash: [],
    package: [],
    image: ["writer@1"],
  };
  const reads = Object.entries(paths as Record<string, object>)
    .filter(([path, methods]) => "get" in methods && !/\/v1\/events$|\/events$/.test(path))
    .flatMap(([path]) => {
      let all = [path];
      for (const [, name] of path.matchAll(/\{(\w+)\}/g)) {
        all = all.flatMap((one) => names[name!]!.map((is) => one.replace(`{${name}}`, String(is))));
      }
      return all;
    });
  return [
    ...reads.filter((path) => !path.endsWith("/wait")),
    "/v1/trees/t_1/events?limit=500",
    "/v1/trees/t_2/events?limit=500",
    "/v1/processes?all=true",
    "/v1/approvals?status=all",
    "/v1/processes/p_1/wait?timeoutMs=0",
  ];
}

Deno.test("No answer to a viewer has a value in it: no argument, answer, message, result or preview", async () => {
  const { at } = await started();
  await using _ = at;
  const paths = await readable(at);
  assert(paths.length > 100, `${paths.length} addresses`);
  let good = 0;
  for (const path of paths) {
    const answer = await at.ask("viewer", path);
    const text = await answer.text();
    if (answer.ok) good += 1;
    assert(!text.includes(SECRET), `${path} ${text}`);
  }
  assert(good > 50, `${good} of ${paths.length} were answered`);
  // The same are there for who may see them: this would find them.
  for (
    const [role, path] of [
      ["operator", "/v1/trees/t_1/events?limit=500&reveal=true"],
      ["approver", "/v1/approvals"],
      ["operator", "/v1/processes/p_1/wait?timeoutMs=0"],
    ] as const
  ) {
    assert((await (await at.ask(role, path)).text()).includes(SECRET), path);
  }
});

Deno.test("What is about a call is shown without its values: right, resource, hash, decision", async () => {
  const { at } = await started();
  await using _ = at;
  const { items: [request] } = await (await at.ask("viewer", "/v1/approvals")).json();
  assert.equal(request.revealed, false);
  assert.equal(request.call.args, null);
  assert.equal(request.preview, null);
  assert.equal(request.call.resource, "./out/b.txt");
  assert.match(request.call.argsHash, /^[0-9a-f]{64}$/);
  const { items: [whole] } = await (await at.ask("approver", "/v1/approvals")).json();
  assert.equal(whole.revealed, true);
  assert.equal(whole.call.args.text, `${SECRET} written\n`);
  const { items } = await (await at.ask("viewer", "/v1/trees/t_1/events?type=call")).json();
  const read = items.find(({ text }: { text: string }) => text.startsWith("file.read"));
  assert.match(read.text, /^file\.read \.\/in\.txt {2}allow/);
  assert.match(read.call, /^p_1#\d+\.\d+$/);
  assert.equal("data" in read, false);
  const call = await (await at.ask("viewer", `/v1/calls/t_1/${read.seq}`)).json();
  const { revealed, args, result, resource, ok } = call;
  assert.deepEqual([revealed, args, result, resource, ok], [false, null, null, "./in.txt", true]);
});

Deno.test("Values are for operators who ask for them, and the log says who looked, and at what", async () => {
  const { at, clock } = await started();
  await using _ = at;
  const { items: [read] } = await (await at.ask("viewer", "/v1/trees/t_1/events?type=call")).json();
  await at.runtime.seal();
  const REVEALS = [
    ["/v1/trees/t_1/events?reveal=true", "reveal lines"],
    [`/v1/calls/t_1/${read.seq}?reveal=true`, `reveal call ${read.call}`],
    ["/v1/audit?tree=t_1", "reveal the log"],
  ] as const;
  const looks = async () =>
    (await Array.fromAsync(at.runtime.log("t_1")))
      .filter(({ type, data }) =>
        type === "inbox.taken" && (data as { what: string }).what.startsWith("reveal ")
      )
      .map(({ data }) => data as { what: string; by: string })
      .map(({ what, by }) => `${what} by ${by}`);
  for (const [path, what] of REVEALS) {
    assert.equal(await code(at.ask("approver", path)), "403 role_too_low", path);
    const before = await looks();
    const answer = await at.ask("operator", path);
    assert.equal(answer.status, 200, path);
    await answer.body?.cancel();
    assert.deepEqual((await looks()).slice(before.length), [`${what} by operator`], path);
  }
  // Whoever follows a log is not told of their own looking, on and on.
  const before = (await looks()).length;
  const again = async () => await (await at.ask("operator", REVEALS[0][0])).body?.cancel();
  await again();
  assert.equal((await looks()).length, before);
  await clock.advance(LIMITS.revealNoteMs);
  await again();
  assert.equal((await looks()).length, before + 1);
});

Deno.test("What was sent and has no outcome yet is shown by its right, and its arguments on demand", async () => {
  await using at = await serverPlace();
  const live = (await at.ask("viewer", "/v1/events")).body!;
  const told = (await at.ask("operator", "/v1/events")).body!;
  await at.runtime.spawn(talker, {
    goal: "talk",
    grants: [allow("model.generate", "**")],
  });
  const heard = await readUntil(told, /process\.text/);
  assert.match(heard, new RegExp(`${SECRET} spoken`));
  const { items: [seen] } = await (await at.ask("viewer", "/v1/effects")).json();
  assert.deepEqual([seen.name, seen.revealed, seen.args], ["model.generate", false, null]);
  assert.equal(seen.resource, "test/slow");
  const path = "/v1/effects?reveal=true";
  assert.equal(await code(at.ask("viewer", path)), "403 role_too_low");
  const { items: [whole] } = await (await at.ask("operator", path)).json();
  assert.equal(whole.revealed, true);
  assert.equal(typeof whole.args, "object");
  assert.notEqual(whole.args, null);
  const process = (await at.runtime.get("p_1"))!;
  await process.signal("kill", "enough");
  assert.doesNotMatch(await readUntil(live, /"ended"/), /process\.text/);
});

/** What a stream says until something is in it. */
async function readUntil(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  wanted: RegExp,
): Promise<string> {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!wanted.test(text)) {
    const { done, value } = await reader.read();
    if (done) break;
    text += value;
  }
  await reader.cancel();
  return text;
}
