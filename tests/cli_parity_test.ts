/**
 * Claims about reading: a command says the same of a store and of the server on it, as the API's
 * document has it.
 * @module
 */

import { deepStrictEqual as equal, match, ok } from "node:assert/strict";
import { Validator } from "@cfworker/json-schema";
import { parse } from "yaml";
import { type Served, served } from "./cli_served.ts";

const CONTRACT = {
  name: "double",
  description: "Double a number",
  inputSchema: { type: "object", properties: { n: { type: "number" } }, required: ["n"] },
  rights: ["file.read(./data/**)"],
  tests: [],
};

/** Makes objects, a tool and a checkpoint, is refused once, and then waits for a person. */
const MAKER = `import { allow, ask, defineImage } from "@agent-libos/core";
const contract = ${JSON.stringify(CONTRACT)};
const image = defineImage({
  name: "maker",
  program: async ({ sys }) => {
    await sys.object.create({ name: "notes/a", type: "text", mutable: true, value: "one" });
    await sys.object.write({ object: "notes/a", value: "two", from: 1 });
    await sys.object.create({ name: "list", type: "text", list: true });
    await sys.object.append({ object: "list", item: "first" });
    await sys.file.list({ path: "." });
    await sys.file.read({ path: "./secret.env" }).catch(() => {});
    for (const by of [1, 2]) {
      const source = "export default ({ n }) => n * " + by + ";\\n";
      const { tool } = await sys.tool.propose({ ...contract, source });
      await sys.tool.register({ tool }).catch(() => {});
    }
    await sys.checkpoint.create({ name: "made" });
    await sys.file.write({ path: "./log.md", text: "so" });
    await sys.file.write({ path: "./out.md", text: "so" });
  },
});
const grants = [
  allow("file.list", "."),
  allow("file.read", "./data/**"),
  allow("file.write", "./log.md"),
  ask("file.write", "./out*"),
  allow("checkpoint.create", "**"),
];
export default { image, spawn: { goal: "Make things", grants, labels: { team: "ops" } } };
`;

/** Words, the name of the shape, and whether there are many of it. */
const READS: readonly (readonly [argv: string, shape: string | null, many: boolean])[] = [
  ["ps -a", "Process", true],
  ["ps -l team=ops --state waiting/person", "Process", true],
  ["describe p_1", null, false],
  ["logs p_1 -o jsonl", "Event", true],
  ["events -o jsonl", "Event", true],
  ["events p_1 --since 5", "Event", true],
  ["approvals", "Request", true],
  ["approvals show req_1.1", "Request", false],
  ["caps ls p_1", "Capability", true],
  ["caps tree p_1", "Capability", true],
  ["can p_1 file.list(.)", "Explanation", false],
  ["can p_1 file.write(./out.md)", "Explanation", false],
  ["can p_1 net.fetch https://x.test/", "Explanation", false],
  ["explain p_1#1.5", "CallStory", false],
  ["explain p_1#1.6", "CallStory", false],
  ["policy show p_1", "Policy", false],
  ["policy unused p_1", null, false],
  ["suggest p_1", null, false],
  ["effects", "SentEffect", true],
  ["effects p_1", "SentEffect", true],
  ["effects t_1", "SentEffect", true],
  ["tree ls", "Tree", true],
  ["budget p_1", null, false],
  ["objects ls p_1", "Object", true],
  ["objects history /p_1/notes/a", "ObjectVersion", true],
  ["objects history /p_1/list", "ObjectVersion", true],
  ["objects cat /p_1/notes/a", null, false],
  ["objects cat /p_1/list", null, false],
  ["tools", "Tool", true],
  ["tools ls p_1", "Tool", true],
  ["tools show double", "Tool", false],
  ["tools source double", "ToolSource", false],
  ["tools source double --diff", "ToolSource", false],
  ["checkpoint", "Checkpoint", true],
  ["checkpoint ls p_1", "Checkpoint", true],
  ["checkpoint inspect p_1 made", "State", false],
  ["checkpoint inspect p_1 4", "State", false],
  ["checkpoint diff p_1 4", null, false],
  ["checkpoint diff p_1 4 made", null, false],
  ["token ls", "Token", true],
  ["policy test stricter.policy p_1", null, true],
  ["policy test stricter.policy p_1 --until 4", null, false],
  ["tree retain", "Retention", true],
  ["tree retain p_1", "Retention", true],
  ["tree retain t_1 30 --dry-run", null, true],
  ["tree retain t_1 --dry-run", null, false],
  ["verify", "Checked", true],
  ["verify t_1", "Checked", true],
  ["audit verify", "Checked", true],
];

/** A server on a store with a little of everything in it. */
async function everything(): Promise<Served> {
  return await served(async (place) => {
    await place.write("maker.ts", MAKER);
    await place.write("stricter.policy", "deny object.create(**)\n");
    await place.write("libos.policy", "deny file.read(./**/*.env) because secrets\n");
    const said = await place.libos("run", "maker.ts", "--jit", "--no-wait");
    equal(said.exit, 5, said.out + said.err);
    return ["maker.ts", "waiter.ts"];
  });
}

/** Throws unless a value is what the document says of a shape. */
function hold(document: Record<string, unknown>, shape: string, value: unknown): void {
  const schema = { $ref: `#/components/schemas/${shape}`, components: document["components"] };
  const { valid, errors } = new Validator(schema, "2020-12", false).validate(value);
  ok(valid, `${shape}: ${JSON.stringify(errors.slice(-3))} of ${JSON.stringify(value)}`);
}

function valuesOf(out: string, isLines: boolean): unknown {
  return isLines ? out.trim().split("\n").map((line) => JSON.parse(line)) : JSON.parse(out);
}

Deno.test("What is read of a store and of its server is the same, as the API's document has it", async (test) => {
  await using at = await everything();
  // What the server wrote at its start is durable once an order after it is.
  const { out: pid } = await at.place.libos("spawn", "-d", "waiter", "Wait", ...at.host, "-q");
  equal((await at.place.libos("send", "p_1", "hello", ...at.host)).exit, 0);
  equal((await at.place.libos("kill", pid.trim(), ...at.host)).exit, 0);
  const document = await (await fetch(`${at.host[1]}/openapi.json`)).json();
  for (const [words, shape, many] of READS) {
    await test.step(`libos ${words}`, async () => {
      const isLines = words.includes("jsonl");
      const argv = [...words.split(" "), ...isLines ? [] : ["-o", "json"]];
      const here = await at.place.libos(...argv);
      const there = await at.place.libos(...argv, ...at.host);
      equal([there.exit, there.err], [here.exit, here.err]);
      const [one, other] = [valuesOf(here.out, isLines), valuesOf(there.out, isLines)];
      equal(other, one);
      ok(!many || (one as unknown[]).length > 0, "there is some");
      if (shape === null) return;
      for (const value of many ? one as unknown[] : [one]) hold(document, shape, value);
      const yaml = ["-o", "yaml"];
      if (isLines) return;
      const said = await at.place.libos(...words.split(" "), ...yaml);
      if (!words.startsWith("events")) equal(parse(said.out), one);
    });
  }
});

Deno.test("A call that waits is explained by its place, by a server too; one that never was is not", async () => {
  await using at = await served();
  for (const host of [[], at.host]) {
    const waits = await at.place.json<{ decision: string; request: string; seq: number }>(
      ...["explain", "p_1#1.3"],
      ...host,
    );
    equal([waits.decision, waits.request], ["ask", "req_1.1"]);
    ok(waits.seq > 0);
    equal((await at.place.libos("explain", "p_1#9.9", ...host)).exit, 3);
  }
});

Deno.test("Checkpoints are looked at and compared through a server, by name, id, prefix or line", async () => {
  await using at = await everything();
  const libos = (...argv: string[]) => at.place.libos(...argv, ...at.host);
  for (const position of ["made", "#4", "4"]) {
    const here = await at.place.libos("checkpoint", "inspect", "p_1", position);
    equal((await libos("checkpoint", "inspect", "p_1", position)).out, here.out);
    match(here.out, /^t_1 at line \d+/);
  }
  const [{ id }] = await at.place.json<[{ id: string }]>("checkpoint", "ls", ...at.host);
  const named = await libos("checkpoint", "inspect", "p_1", id);
  match(named.out, /, ck_1\.\d+ "made"[^]*Objects:[^]*\/p_1\/notes\/a +version 2/);
  const near = await libos("checkpoint", "inspect", "p_1", "ck_1");
  equal(near.exit, 2);
  match(near.err, /Cannot tell which checkpoint "ck_1" is: 2 begin so, expected one of ck_1/);
  const { out } = await libos("checkpoint", "diff", "p_1", "4", "made");
  equal((await at.place.libos("checkpoint", "diff", "p_1", "4", "made")).out, out);
  match(out, /objects +obj_1\.\d+ +added +- +\/p_1\/notes\/a@2/);
  equal((await libos("checkpoint", "inspect", "p_1", "nosuch")).exit, 3);
  equal((await libos("checkpoint", "inspect", "p_1", "99999")).exit, 3);
  equal((await libos("checkpoint", "burn", "p_1", "made")).exit, 2);
});
