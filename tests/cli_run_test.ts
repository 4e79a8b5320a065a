/**
 * Claims about `libos run`: how it ends, and what goes on beside it.
 * @module
 */

import { deepStrictEqual as equal, match, ok, rejects } from "node:assert/strict";
import { Place } from "./cli_place.ts";

/** What the gated agent waits for. */
interface Gate {
  readonly started: () => void;
  readonly opened: Promise<void>;
}

/** A gate for the gated agent of this process. */
function gate(): { readonly isStarted: Promise<void>; open(): void } {
  const started = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  (globalThis as unknown as { gate: Gate }).gate = {
    started: started.resolve,
    opened: opened.promise,
  };
  return { isStarted: started.promise, open: opened.resolve };
}

Deno.test("run ends with a code that says how its agent ended", async () => {
  await using place = await Place.make();
  const refused = await place.libos("run", "refused.ts", "Read it");
  equal(refused.exit, 4);
  match(refused.out, /└─ p_1 failed: .*\[EPERM\]/);
  const spent = await place.libos("run", "spender.ts", "Spend", "--budget", "tokens=1");
  equal(spent.exit, 6);
  const quiet = await place.libos("run", "spender.ts", "Spend", "-q");
  equal([quiet.exit, quiet.out], [0, "Done\n"]);
  const json = await place.json<{ pid: string; result: string }>("run", "spender.ts", "Spend");
  equal([json.pid, json.result], ["p_4", "Done"]);
  const late = await place.libos("run", "waiter.ts", "Wait", "--timeout", "20ms");
  equal(late.exit, 124);
  match(late.err, /Go on with: libos run waiter\.ts p_5 --resume/);
});

Deno.test("run with a key finds what was started with it before", async () => {
  await using place = await Place.make();
  await place.libos("run", "greeter.ts", "Hi", "--no-wait", "--key", "k");
  await place.libos("run", "greeter.ts", "Hi", "--no-wait", "--key", "k");
  equal((await place.json<unknown[]>("ps")).length, 1);
});

Deno.test("run holds the policy of the folder against every tree it starts", async () => {
  await using place = await Place.make();
  await place.write("libos.policy", "deny file.list(**)\n");
  const { exit, out } = await place.libos("run", "greeter.ts", "Hi", "--no-wait");
  equal(exit, 4);
  match(out, /file\.list \. +DENY \(rule deny file\.list/);
});

Deno.test("An interrupt lets what is under way come to its end; a second does not", async () => {
  await using place = await Place.make();
  const { isStarted, open } = gate();
  const running = place.start("run", "gated.ts");
  await isStarted;
  running.interrupt();
  equal(running.exits, []);
  running.interrupt();
  equal(running.exits, [130]);
  open();
  const { exit, err } = await running.said;
  equal(exit, 130);
  match(err, /Stopping after what is under way; once more stops at once/);
  match(err, /Go on with: libos run gated\.ts p_1 --resume/);
  equal(await place.read("gated.md"), "done");
});

Deno.test("A message sent beside a running kernel reaches its process", async () => {
  await using place = await Place.make();
  const running = place.spawn("run", "waiter.ts", "Wait");
  await running.shows('▸ p_1 waiter  "Wait"');
  equal((await place.libos("send", "p_1", "good news")).exit, 0);
  const { exit, out } = await running.said();
  equal(exit, 0);
  match(out, /good news/);
});

Deno.test("A request is answered beside a running kernel, which goes on by itself", async () => {
  await using place = await Place.make();
  const running = place.spawn("run", "greeter.ts", "Say hi");
  await running.shows("answer with: libos approve req_1.1");
  const [process] = await place.json<{ state: string }[]>("ps");
  equal(process?.state, "waiting");
  match((await place.libos("doctor")).out, /another kernel runs on it \(pid \d+/);
  const second = await place.libos("run", "greeter.ts", "Me too", "--no-wait");
  equal(second.exit, 1);
  const stop = /\(pid (\d+) on .+\), expected none; stop it first \(Ctrl-C .+, or kill \1\) /;
  match(second.err, stop);
  match(second.err, /^error: Cannot run "run": a kernel runs on the store /);
  const followed = place.start("logs", "p_1", "-f");
  await followed.shows("→ req_1.1");
  const approved = await place.libos("approve", "req_1.1");
  match(approved.out, /^approved \(once\) req_1\.1 by ada\ngranted cap_1\.4/);
  ok(!approved.out.includes("No kernel runs"));
  equal((await place.libos("approve", "req_1.1")).exit, 1);
  const { exit, out } = await running.said();
  equal(exit, 0);
  match(out, /req_1\.1 approved \(once\) by ada/);
  match(out, /chain OK/);
  const { exit: end, out: log } = await followed.said;
  equal(end, 0);
  match(log, /exited 0/);
  equal(await place.read("out.md"), "Say hi");
});

Deno.test("How a request is answered is said once, below what is asked", async () => {
  await using place = await Place.make();
  const wish = `import { allow, defineImage } from "@agent-libos/core";
const image = defineImage({
  name: "wish",
  program: async ({ sys }) => {
    // It is being written while the question is asked.
    await sys.object.create({ name: "plan", value: "first", mutable: true });
    await sys.human.ask({ prompt: "Which?" });
  },
});
export default { image, spawn: { goal: "Ask", grants: [allow("human.ask", "**")] } };
`;
  await place.write("wish.ts", wish);
  const told = /^▸ p_1 .*\n.* ask → req_1\.1\n +answer with: libos answer req_1\.1 VALUE\n$/;
  match((await place.libos("run", "wish.ts", "--no-wait")).out, told);
  // A later run has no line that tells of it.
  const again = await place.libos("run", "wish.ts", "--resume", "--no-wait");
  match(again.out, /^ +answer with: libos answer req_1\.1 VALUE\n$/);
});

Deno.test("Ctrl-C stops a kernel that waits, and nothing is lost", async () => {
  await using place = await Place.make();
  const running = place.spawn("run", "greeter.ts", "Say hi");
  await running.shows("answer with: libos approve req_1.1");
  running.interrupt();
  const { exit, err } = await running.said();
  equal(exit, 130);
  match(err, /Waits for an answer: req_1\.1/);
  match(err, /Go on with: libos run greeter\.ts p_1 --resume/);
  equal((await place.libos("approve", "req_1.1")).exit, 0);
  const later = place.spawn("run", "greeter.ts", "p_1", "--resume");
  equal((await later.said()).exit, 0);
  equal((await place.libos("verify")).exit, 0);
});

Deno.test("A prefix of two things is refused, and one of none is not found", async () => {
  await using place = await Place.make();
  await place.libos("run", "greeter.ts", "One", "--no-wait");
  await place.libos("run", "greeter.ts", "Two", "--no-wait");
  equal((await place.libos("explain", "12")).exit, 2);
  equal((await place.libos("describe", "p_2")).exit, 0);
  equal((await place.libos("describe", "p_3")).exit, 3);
  equal((await place.libos("describe", "p_1.7")).exit, 3);
  equal((await place.libos("approve", "req_2")).exit, 0);
  await rejects(place.start("events", "p_1").shows("never said"), /ended with 0/);
});
