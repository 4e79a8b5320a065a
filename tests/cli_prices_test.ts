/**
 * Claims about `--prices` and `--skills`, and about what a server's image starts with.
 * @module
 */

import { deepStrictEqual as equal, match, ok } from "node:assert/strict";
import type { ImageView } from "../server/schema/memory.ts";
import type { ProcessView } from "../server/schema/process.ts";
import { Place } from "./cli_place.ts";
import { served } from "./cli_served.ts";
import { fakeOpenAi, says } from "./fake_openai_server.ts";
import { skillText } from "./package_place.ts";

const PRICE = { inputUsd: 1_000, outputUsd: 10_000 };

/** What a table says wrongly, and what is said about it. */
const WRONG: readonly (readonly [text: string, says: RegExp])[] = [
  ["{", /Cannot read the prices in "p\.json": no JSON/],
  ["[]", /Cannot use the prices: no table, expected \{"provider\/model"/],
  [JSON.stringify({ "a/b": { inputUsd: 1 } }), /"a\/b" has half/],
  [JSON.stringify({ "a/b": { ...PRICE, outputUsd: -1 } }), /"outputUsd" of "a\/b" is no price/],
  [JSON.stringify({ "a/b": { ...PRICE, perToken: 1 } }), /"perToken" of "a\/b" is no price/],
  [JSON.stringify({ m: PRICE }), /"m" is no model, expected "provider\/model" or "provider\/\*"/],
  [JSON.stringify({ "*/m": PRICE }), /"\*\/m" is no model/],
];

Deno.test("A bad file of prices is refused before anything is started, and says what is wrong", async () => {
  await using place = await Place.make();
  const words = ["run", "spender.ts", "Go", "--prices", "p.json"];
  equal((await place.libos(...words)).exit, 3, "there is no file");
  for (const [text, says] of WRONG) {
    await place.write("p.json", text);
    for (const argv of [words, ["serve", "--port", "0", "--prices", "p.json"]]) {
      const { exit, err } = await place.libos(...argv);
      equal(exit, 1, `${argv[0]} ${text}`);
      match(err, says);
    }
  }
  equal((await place.libos("ps")).exit, 3, "no store was made");
});

Deno.test("With prices a budget in money holds, and lists say what was spent", async () => {
  await using model = fakeOpenAi([says("Done", { usage: { input: 10, output: 1 } })]);
  await using place = await Place.make();
  const at = ["--model", model.url, "--model-id", "m"];
  await place.write("p.json", JSON.stringify({ "openai-compatible/*": PRICE }));
  const poor = await place.libos(
    ...["run", "agent", "Go", ...at, "--prices", "p.json", "--budget", "usd=0.001", "--no-wait"],
  );
  equal(poor.exit, 6, poor.err);
  equal(model.requests.length, 0, "refused before it was sent");
  const rich = await place.libos(
    ...["run", "agent", "Go", ...at, "--prices", "p.json", "--budget", "usd=1000", "--no-wait"],
  );
  equal(rich.exit, 0, rich.err);
  match(rich.out, / · \$0\.0200, 11 tokens · /);
  const rows = await place.json<ProcessView[]>("ps", "-a");
  equal(rows.map(({ spent }) => spent.usd ?? 0), [0, 0.02]);
  match((await place.libos("ps", "-a")).out, /\$0\.020/);
});

Deno.test("models ls says under which name each model is priced", async () => {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => Response.json({ data: [{ id: "a" }, { id: "b" }] }),
  );
  try {
    await using place = await Place.make();
    await place.write("p.json", JSON.stringify({ "openai-compatible/a": PRICE }));
    const url = `http://127.0.0.1:${server.addr.port}/v1`;
    equal(await place.json("models", "ls", url, "--prices", "p.json"), [
      { model: "a", id: "openai-compatible/a", price: PRICE },
      { model: "b", id: "openai-compatible/b", price: null },
    ]);
  } finally {
    await server.shutdown();
  }
});

Deno.test("Skills of folders are listed, shown and given to agents, as what nobody vouches for", async () => {
  await using place = await Place.make();
  await Deno.mkdir(`${place.folder}/skills/sums`, { recursive: true });
  await Deno.mkdir(`${place.folder}/skills/bad`);
  await place.write("skills/sums/SKILL.md", skillText("sums", "allowed-tools: Bash(rm:*)\n"));
  await place.write("skills/sums/sum.py", "print('\u001b[31m')\n");
  await place.write("skills/bad/SKILL.md", "no front matter");
  const from = ["--skills", "skills"];
  const listed = await place.libos("skills", ...from);
  equal(listed.exit, 0);
  match(listed.out, /^sums +Bash\(rm:\*\) +Adds numbers up\.$/m);
  match(listed.err, /Cannot use skill "bad"/);
  const shown = await place.libos("skills", "show", "sums", ...from);
  match(shown.out, /^Uses: +Bash\(rm:\*\), it says: a claim, which opens nothing$/m);
  match(shown.out, /^Standing: untrusted/m);
  equal(
    (await place.libos("skills", "show", "sums", "sum.py", ...from)).out.includes("\u001b"),
    false,
  );
  equal((await place.libos("skills", "show", "none", ...from)).exit, 3);
  equal((await place.libos("skills", "ls")).exit, 2, "of what?");
  equal((await place.libos("skills", "ls", "--skills", "nowhere")).exit, 3);
  await place.write(
    "learner.ts",
    `import { defineImage } from "@agent-libos/core";
export default defineImage({ name: "learner", program: async ({ sys }) => {
  const { text } = await sys.skill.read({ skill: "sums" });
  await sys.process.exit({ result: text.length > 0 });
} });`,
  );
  const words = ["run", "learner.ts", "Go", "--grant", "skill.read(**)", "-q"];
  equal((await place.libos(...words, ...from)).out, "true\n");
  match((await place.libos(...words)).err, /Cannot use skills: this runtime has none/);
});

Deno.test("A server starts an image with what its file says, as libos run does", async () => {
  await using at = await served(() => Promise.resolve(["greeter.ts", "waiter.ts"]));
  const libos = (...argv: string[]) => at.place.libos(...argv, ...at.host);
  match(
    (await libos("images", "inspect", "greeter")).out,
    /^ {2}with ask file\.write\(\.\/out\*\)$/m,
  );
  const [image] = await at.place.json<ImageView[]>("images", ...at.host);
  equal(image!.start, { goal: null, grants: ["allow file.list(.)", "ask file.write(./out*)"] });
  const { exit, err } = await libos("spawn", "greeter", "Say hi", "--no-wait");
  equal([exit, /Waits for an answer: req_1/.test(err)], [5, true], err);
  equal((await libos("spawn", "greeter")).exit, 1, "its file says no goal");
  const file = await libos("spawn", "-d", "greeter.ts", "Say hi");
  equal(file.exit, 2);
  match(
    file.err,
    /Cannot spawn "greeter\.ts": .*expected libos serve greeter\.ts where it runs, then/,
  );
  const [, url, , token] = at.host as [string, string, string, string];
  const bare = await fetch(`${url}/v1/processes`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ image: "greeter", goal: "Say hi" }),
  });
  const { pid } = await bare.json();
  match((await libos("wait", pid)).out, /failed/, "who does not ask for it gets none of it");
  ok(!(await libos("caps", "ls", pid)).out.includes("file.list"));
});
