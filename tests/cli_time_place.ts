/**
 * An agent that edits files as it is told, for claims about going back and about replay.
 * @module
 */

import { deepStrictEqual as equal, ok } from "node:assert/strict";
import { realClock } from "../providers/clock.ts";
import { Place } from "./cli_place.ts";

/** Does what messages say, one a step: `path=text`, `path=-` to remove, `x=end` to exit. */
export const EDITOR = `import { allow, ask, defineImage } from "@agent-libos/core";
const image = defineImage({
  name: "editor",
  program: async ({ sys, goal }) => {
    const { messages } = await sys.message.receive({});
    for (const { data } of messages) {
      const [path, text] = data.split("=");
      if (text === "end") await sys.process.exit({ result: goal });
      if (text === "-") await sys.file.remove({ path }).catch(() => {});
      else await sys.file.write({ path, text: goal + ": " + text }).catch(() => {});
      await sys.object.create({ name: "last", value: text }).catch(() => {});
    }
  },
});
const grants = [allow("file.*", "./docs/**"), ask("file.write", "./docs/ask/**")];
export default { image, spawn: { goal: "Edit", grants } };
`;

/** A place where an editor waits for what to do: "a" was written before its checkpoint "draft". */
export async function edited(): Promise<Place> {
  const place = await Place.make();
  await place.write("editor.ts", EDITOR);
  await Deno.mkdir(`${place.folder}/docs`);
  await place.write("docs/b.txt", "of a person");
  await ran(place, "p_1", ["editor.ts"]);
  await told(place, "docs/a.txt=one");
  equal(
    (await place.libos("checkpoint", "create", "p_1", "draft")).out,
    'ck_1.1 "draft" is line ' +
      (await place.json<{ seq: number }[]>("checkpoint", "ls"))[0]!.seq + " of p_1\n",
  );
  return place;
}

/** Tells an editor things, one a step, and lets it do them. */
export async function told(place: Place, ...orders: string[]): Promise<void> {
  for (const order of orders) {
    equal((await place.libos("send", "p_1", order)).exit, 0);
    await ran(place, "p_1", ["editor.ts", "p_1", "--resume"]);
  }
}

/** Runs an agent until it has taken its mail and waits for more, or has ended. */
export async function ran(place: Place, pid: string, argv: readonly string[]): Promise<void> {
  const before = await lines(place, pid);
  const running = place.start("run", ...argv);
  let isOver = false;
  running.said.then(() => isOver = true);
  while (!isOver && !await rests(place, pid, before)) await realClock.sleep(10);
  running.interrupt();
  const { exit, err } = await running.said;
  ok(exit === 0 || exit === 130, err);
}

interface Seen {
  readonly seq: number;
  readonly type: string;
}

async function lines(place: Place, pid: string): Promise<number> {
  const { exit, out } = await place.libos("events", pid);
  return exit === 0 ? out.split("\n").length - 1 : 0;
}

/** Whether it waits again since it had so many lines. */
async function rests(place: Place, pid: string, before: number): Promise<boolean> {
  const { exit, out } = await place.libos("events", pid);
  if (exit !== 0) return false;
  const later = out.trim().split("\n").map((line) => JSON.parse(line) as Seen)
    .filter(({ seq }) => seq > before);
  return later.at(-1)?.type === "process.waiting";
}
