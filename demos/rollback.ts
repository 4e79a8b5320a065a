/**
 * deno run --allow-read=.libos --allow-write=.libos demos/rollback.ts
 *
 * Time travel: an agent edits files, is taken back to a checkpoint with its files, and a fork of it
 * goes another way from there.
 * @module
 */

import {
  type AgentProcess,
  allow,
  createRuntime,
  defineImage,
  type Program,
} from "@agent-libos/core";

const workspace = "./.libos/rollback";

/** Each step is one order: it is read, done in the voice that the goal says, and noted. */
const edit: Program = async ({ sys, goal }) => {
  const { messages } = await sys.message.receive({});
  for (const { data } of messages) {
    const { file, line } = data as unknown as { file: string; line: string | null };
    if (line === null) await sys.file.remove({ path: file });
    else {
      const text = goal === "Shout" ? line.toUpperCase() : line;
      const before = await sys.file.read({ path: file }).then(({ text }) => text, () => "");
      await sys.file.write({ path: file, text: `${before}${text}\n` });
    }
  }
};

/** Gives orders, and lets the agent do them. */
async function order(agent: AgentProcess, ...orders: { file: string; line: string | null }[]) {
  for (const each of orders) {
    await agent.send(each);
    await os.runUntilIdle();
  }
}

/** Prints the files of the workspace. */
async function look(when: string): Promise<void> {
  console.log(`-- ${when}`);
  const names = (await Array.fromAsync(Deno.readDir(workspace))).map(({ name }) => name).sort();
  for (const name of names) {
    const text = await Deno.readTextFile(`${workspace}/${name}`);
    console.log(`   ${name.padEnd(9)} ${text.trimEnd().replaceAll("\n", " / ")}`);
  }
}

await Deno.remove(workspace, { recursive: true }).catch(() => {});
await Deno.mkdir(workspace, { recursive: true });
await using os = await createRuntime({ store: ":memory:", workspace });
const image = defineImage({ name: "editor", program: edit });
const agent = await os.spawn(image, { goal: "Write", grants: [allow("file.*", "./*")] });

await order(agent, { file: "poem.txt", line: "The sea is calm" });
await order(agent, { file: "title.txt", line: "Dover Beach" });
await agent.checkpoint("draft");
await look("draft");

await order(agent, { file: "poem.txt", line: "lorem ipsum" });
await order(agent, { file: "title.txt", line: null }, { file: "junk.txt", line: "oops" });
// Somebody else works here, too: their file is none of the agent's.
await Deno.writeTextFile(`${workspace}/mine.txt`, "Hands off\n");
await look("gone wrong");

for (const { path, action, state } of await agent.undoPreview("draft")) {
  console.log(`   would ${action} ${path}: ${state}`);
}
const { to, effects } = await agent.restore("draft", { files: true });
console.log(
  `   back at line ${to}; ${effects.length} effects were sent since, and stay in the log`,
);
await look("back at the draft, files too");

const fork = await agent.fork("draft", { goal: "Shout" });
await order(agent, { file: "poem.txt", line: "to-night" });
await order(fork, { file: "shout.txt", line: "to-night" });
await look("the agent and its fork, each on its way");
const checked = await os.verify();
console.log(
  `-- ${checked.length} logs, ${checked.every((one) => one.broken === null) ? "OK" : "BROKEN"}`,
);
