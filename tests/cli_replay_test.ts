/**
 * Claims about the command line: replay, suggestions, effects.
 * @module
 */

import { deepStrictEqual as equal, match } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { realClock } from "../providers/clock.ts";
import { Place } from "./cli_place.ts";
import { edited, EDITOR, ran, told } from "./cli_time_place.ts";

Deno.test("A replay of the same code is the same; of other code it tells where it differs", async () => {
  await using place = await edited();
  const same = await place.libos("replay", "p_1", "--image", "editor.ts");
  equal(same.exit, 0, same.err);
  match(
    same.out,
    /^p_1 does the same: 1 step and 3 calls, as far as that goes: the log ends in step 2/,
  );
  await place.write("other.ts", EDITOR.replace("goal + ", '"My " + goal + '));
  const other = await place.libos("replay", "p_1", "--image", "other.ts");
  equal(other.exit, 7);
  match(
    other.out,
    /^p_1 differs in step 1, call 2, line \d+\n {2}was file\.write\(.*"Edit: one".*is file\.write\(.*"My Edit: one"/,
  );
  match(
    other.out,
    /the same until there: 0 steps and 1 call\n {2}see: libos explain \d+ --tree t_1\n$/,
  );
  const until = await place.libos("replay", "p_1", "--image", "other.ts", "--until", "10");
  equal(until.exit, 0);
  const json = await place.libos("replay", "p_1", "--image", "other.ts", "-o", "json");
  const { same: isSame, diverged } = JSON.parse(json.out);
  equal([json.exit, isSame, diverged.key], [7, false, "2"]);
  equal(await place.read("docs/a.txt"), "Edit: one");
});

Deno.test("A process that was killed is no difference", async () => {
  await using place = await edited();
  await place.libos("kill", "p_1");
  const { exit, out } = await place.libos("replay", "p_1", "--image", "editor.ts");
  equal(exit, 0, out);
  match(out, /does the same: 1 step and 3 calls, as far as that goes: it was killed in step 2/);
});

Deno.test("A program that failed, and no more does, is a difference; one that fails again is none", async () => {
  await using place = await Place.make();
  const failer = (last: string) =>
    `import { defineImage } from "@agent-libos/core";
export default defineImage({
  name: "failer",
  program: async ({ sys }) => {
    await sys.clock.now();
    ${last}
  },
});
`;
  await place.write("failer.ts", failer('throw new Error("boom");'));
  await place.write("mended.ts", failer(""));
  await place.libos("run", "failer.ts", "Go");
  equal((await place.libos("replay", "p_1", "--image", "failer.ts")).exit, 0);
  const mended = await place.libos("replay", "p_1", "--image", "mended.ts");
  equal(mended.exit, 7);
  match(mended.out, /came to EIO "Cannot finish the call: boom", and comes to its end now/);
});

Deno.test("A call that the door refused before its log heard of it is no difference", async () => {
  await using place = await Place.make();
  await place.write(
    "clumsy.ts",
    `import { defineImage } from "@agent-libos/core";
const mistake = (made) => made.then(() => "", ({ code }) => code);
export default defineImage({
  name: "clumsy",
  program: async ({ sys }) => {
    const codes = [await mistake(sys("object.burn", {})), await mistake(sys.clock.sleep({ ms: "x" }))];
    await sys.object.create({ name: "codes", value: codes });
    await sys.human.ask({ question: "?" });
  },
});
`,
  );
  await place.libos("run", "clumsy.ts", "Go");
  const { exit, out } = await place.libos("replay", "p_1", "--image", "clumsy.ts");
  equal(exit, 0, out);
  match(out, /^p_1 does the same: 1 step and 1 call, to its end\n/);
});

Deno.test("The built-in model loop is known to replay, and its own tools are named", async () => {
  await using place = await Place.make();
  await place.libos("run", "spender.ts", "Spend");
  const { exit, out } = await place.libos("replay", "p_1");
  equal(exit, 0, out);
  match(out, /^p_1 does the same: \d+ steps and \d+ calls, to its end\n/);
});

Deno.test("A policy held against a history tells what it would have refused and asked", async () => {
  await using place = await edited();
  await place.write("strict.policy", "deny file.write(./docs/a.txt)\nask file.remove(**)\n");
  const { exit, out } = await place.libos("replay", "p_1", "--policy", "strict.policy");
  equal(exit, 7);
  match(out, /#\d+ +p_1#1\.2 +file\.write\(\.\/docs\/a\.txt\) +allow +DENY +deny file\.write/);
  await place.write("fine.policy", "deny file.write(./elsewhere/**)\n");
  const fine = await place.libos("replay", "p_1", "--policy", "fine.policy");
  equal([fine.exit, fine.out], [0, ""]);
  await place.write("bad.policy", "deny file.raed(./x)\n");
  match(
    (await place.libos("replay", "p_1", "--policy", "bad.policy")).err,
    /did you mean "file\.read"/,
  );
});

Deno.test("What suggest says is enough to run the same, as options and as code", async () => {
  await using place = await edited();
  await told(place, "docs/b.txt=-", "x=end");
  const { out } = await place.libos("suggest", "p_1");
  match(out, /^# p_1 \(editor@1\), in TypeScript\nimport \{ allow \} from/);
  match(out, /\n {2}allow\("file\.write", "\.\/docs\/a\.txt"\), +\/\/ 1 call, #\d+\n/);
  match(out, /\nlibos run FILE "goal" --grant 'file\.remove\(\.\/docs\/b\.txt\)' --grant/);
  match(out, /\nallow file\.write\(\.\/docs\/a\.txt\) +# 1 call, #\d+\n/);
  const { grants, policy, rules } = await place.json<{
    readonly grants: string;
    readonly policy: string;
    readonly rules: readonly { readonly rule: string }[];
  }>("suggest", "p_1");
  await place.write("suggested.policy", policy);
  equal((await place.libos("policy", "check", "suggested.policy")).exit, 0);
  await place.write("least.ts", EDITOR.replace(/const grants = .*;/, `const grants = ${grants};`));
  await ran(place, "p_2", ["least.ts"]);
  for (const order of ["docs/a.txt=one", "docs/b.txt=-", "x=end"]) {
    await place.libos("send", "p_2", order);
  }
  await place.write("docs/b.txt", "again");
  equal((await place.libos("run", "least.ts", "p_2", "--resume")).exit, 0);
  const denied = await place.json<unknown[]>("events", "p_2").then((lines) =>
    lines.filter((line) => JSON.stringify(line).includes('"effect":"deny"'))
  );
  equal([denied, rules.length], [[], 2]);
  await ran(place, "p_3", ["waiter.ts", "Wait"]);
  equal((await place.libos("suggest", "p_3")).out, "# p_3 (waiter@1) needed no grants\n");
});

const SLOW = `import { defineImage } from "@agent-libos/core";
const model = {
  id: "slow/model",
  async generate() {
    try {
      Deno.statSync(import.meta.dirname + "/go");
    } catch {
      await new Promise((done) => setTimeout(done, 60_000));
    }
    const reply = { text: "Done", calls: [], finish: "stop" };
    return { ...reply, inputTokens: 1, outputTokens: 1 };
  },
};
export default { image: defineImage({ name: "slow", model }), spawn: { goal: "Wait" } };
`;

interface Effect {
  readonly call: string;
  readonly name: string;
  readonly state: string;
  readonly why: string;
}

Deno.test("Effects are committed, failed, in doubt or repeated; one in doubt stops a rollback", async () => {
  await using place = await edited();
  await told(place, "docs/none/e.txt=five");
  const [one, two] = await place.json<Effect[]>("effects", "p_1");
  equal([one?.call, one?.state, one?.why], ["p_1#1.2", "committed", ""]);
  equal([two?.state, /ENOENT/.test(two?.why ?? "")], ["failed", true]);
  equal((await place.libos("effects", "--open")).err, "No effect is in doubt\n");
  await place.write("slow.ts", SLOW);
  const child = await startedSlow(place);
  child.kill("SIGKILL");
  await child.status;
  const [open] = await place.json<Effect[]>("effects", "p_2", "--open");
  equal([open?.name, open?.state], ["model.generate", "in doubt"]);
  match(open!.why, /under way, or lost with its kernel/);
  const preview = await place.libos("rollback", "p_2", "5", "--preview");
  match(preview.out, /It would be refused: an effect of p_2 is under way or in doubt/);
  const refused = await place.libos("rollback", "p_2", "5", "-y");
  equal(refused.exit, 1);
  match(refused.err, /in doubt, expected its outcome/);
  await place.write("go", "");
  equal((await place.libos("run", "slow.ts", "p_2", "--resume")).exit, 0);
  const { out } = await place.libos("effects", "t_2");
  match(
    out,
    /^LINE +CALL +WHAT +STATE +OUTCOME +WHY\n#\d+ +p_2#1\.\d+ +model\.generate slow\/model +repeated +#\d+\n$/,
  );
  equal((await place.json<Effect[]>("effects")).length, 3);
});

/** A kernel that waits for its model, as a process of its own. */
async function startedSlow(place: Place): Promise<Deno.ChildProcess> {
  const [config, entry] = ["deno.json", "cli/main.ts"].map((file) =>
    fileURLToPath(new URL(`../${file}`, import.meta.url))
  );
  const args = ["run", "-A", "--no-check", "--config", config!, entry!, "run", "slow.ts"];
  const child = new Deno.Command(Deno.execPath(), {
    args,
    cwd: place.folder,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  let isOver = false;
  void child.status.then(() => isOver = true);
  while (!isOver) {
    const { exit, out } = await place.libos("effects", "t_2", "-o", "name");
    if (exit === 0 && out !== "") return child;
    await realClock.sleep(25);
  }
  throw new Error("it never asked its model");
}
