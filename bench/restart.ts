/**
 * Restart: a kernel is killed with SIGKILL, and another answers the next call of the same process.
 * @module
 */

import { type Extent, numberRow, type Section, timeRow, times } from "./measure.ts";

const RESTARTS = 6;
const CHILD = new URL("./restart_child.ts", import.meta.url).pathname;

interface Answered {
  readonly firstMs: number;
  readonly newMs: number;
  readonly lines: number;
}

/** Starts a child, hears its first line, and kills it while it works. */
async function killed(path: string, job: string): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", CHILD, path, job],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let said = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    said += chunk;
    if (said.includes("\n")) break;
  }
  child.kill("SIGKILL");
  await child.status;
  return said.split("\n", 1)[0] ?? "";
}

/** How soon a killed kernel's successor answers. */
export async function restart({ folder }: Extent): Promise<Section> {
  const path = `${folder}/restart.db`;
  const filled = Number(await killed(path, "fill"));
  const answers: Answered[] = [];
  for (let i = 0; i < RESTARTS; i++) {
    answers.push(JSON.parse(await killed(path, "answer")) as Answered);
  }
  return {
    title: "Restart after SIGKILL, SQLite, synced",
    rows: [
      numberRow("events in the log at the first kill", filled, { unit: "events" }),
      timeRow("first call answered", times(answers.map(({ firstMs }) => firstMs)), 150),
      timeRow("first new durable call answered", times(answers.map(({ newMs }) => newMs)), 150),
    ],
    notes: [
      "From the time at which the child's modules are loaded: opening the store, claiming the " +
      "tree, reading snapshot and tail, checking the chain, running the step from its top. " +
      `Each of ${RESTARTS} children is killed too.`,
    ],
  };
}
