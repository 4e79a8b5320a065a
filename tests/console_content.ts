/**
 * A runtime with something on every page of the console, some of it written to do harm.
 * @module
 */

import { type AgentProcess, allow, ask, createRuntime, defineImage, deny } from "../mod.ts";
import type { AgentImage, Runtime, RuntimeOptions } from "../mod.ts";
import type { ModelReply } from "../kernel/world.ts";
import { contract, FakeWorkshop } from "./fake_sandbox.ts";
import { scratch } from "./scratch.ts";

/** Text that would do something if a page took it for more than text. */
export const EVIL = '<img src=x onerror="window.evil=1"><script>window.evil=2</script> ' +
  "[x](javascript:window.evil=3) \u202etxt.exe\u202c a\u200bb";

/** The same as a page has to show it. */
export const SHOWN = EVIL.replace("\u202e", "\\u{202e}").replace("\u202c", "\\u{202c}")
  .replace("\u200b", "\\u{200b}");

const FIRST = `// Adds the numbers of a column. ${EVIL}
export default async (input, os) => {
  const { text } = await os.call("file.read", { path: input.path });
  return { total: text.split("\\n").length, rows: 12 };
};`;
const SECOND = FIRST.replace("rows: 12", "rows: 13");

/** An agent that remembers, writes tools, hands rights on and then listens. */
export const archivist = defineImage({
  name: "archivist",
  instructions: `Keep the archive in order. ${EVIL}`,
  requests: [allow("file.read", "./notes/*")],
  program: async ({ sys }) => {
    const note = { name: "note", type: "text", mutable: true, value: "one\ntwo\nthree" };
    await sys.object.create(note);
    await sys.object.write({ object: "note", value: `one\n2\nthree ${EVIL}`, from: 1 });
    await sys.object.create({ name: "plan", type: "json", value: { steps: [1, 2] } });
    await sys.object.link({ object: "plan", to: "note", relation: "about" });
    await sys.file.read({ path: "./notes/monday.txt" });
    await sys.file.read({ path: "./notes/secret.env" }).catch(() => {});
    await sys.process.spawn({
      image: "listener",
      goal: `Listen ${EVIL}`,
      grants: ["file.read(./notes/**)"],
    });
    const rights = ["file.read(./notes/*)"];
    for (const source of [FIRST, SECOND]) {
      const { tool } = await sys.tool.propose(
        contract("count_rows", { source, rights, description: `Counts. ${EVIL}` }),
      );
      await sys.tool.register({ tool });
      await sys.tool.call({ name: "count_rows", input: { path: "./notes/monday.txt" } });
    }
    await sys.message.receive({});
  },
});

/** Ends as soon as it hears something. */
export const listener = defineImage({
  name: "listener",
  program: async ({ sys }) => {
    await sys.message.receive({});
  },
});

/** An agent that waits for its model, which says something when it is told to. */
export function thinker(): { readonly image: AgentImage; readonly speak: () => void } {
  const { promise, resolve } = Promise.withResolvers<ModelReply>();
  const image = defineImage({
    name: "thinker",
    model: { id: "silent/model", generate: () => promise },
  });
  const said = {
    text: "Done",
    calls: [],
    finish: "stop",
    inputTokens: 1,
    outputTokens: 1,
  } as const;
  return { image, speak: () => resolve(said) };
}

/** Writes a file, which somebody has to allow. */
export const writer = defineImage({
  name: "writer",
  program: async ({ sys }) => {
    await sys.message.receive({});
    await sys.file.write({ path: "./notes/written.txt", text: "after" });
    await sys.message.receive({});
  },
});

/** Images that consoles are opened with. */
export const IMAGES = [archivist, listener, writer];

/** Options of a runtime for these agents, with files to read. */
export async function contentOptions(): Promise<RuntimeOptions> {
  const folder = scratch();
  await Deno.mkdir(`${folder}/notes`);
  await Deno.writeTextFile(`${folder}/notes/monday.txt`, "Two meetings\n");
  await Deno.writeTextFile(`${folder}/notes/secret.env`, "TOKEN=1\n");
  const count = async (input: unknown, os: { call(name: string, args: never): Promise<unknown> }) =>
    await os.call("file.read", { path: (input as { path: string }).path } as never) as never;
  const workshop = FakeWorkshop.of({ [FIRST]: count, [SECOND]: count });
  return {
    workspace: folder,
    images: IMAGES,
    jit: { workshop: { sandbox: workshop, compiler: workshop }, review: "never" },
  };
}

/** Starts the archivist; comes back when it listens. */
export async function archive(os: Runtime, goal = `Keep the notes ${EVIL}`): Promise<AgentProcess> {
  const process = await os.spawn(archivist, {
    goal,
    images: [listener],
    labels: { team: "ops" },
    budget: { tokens: 50_000, toolCalls: 4 },
    grants: [
      allow("file.read", "./notes/**"),
      deny("file.read", "**/*.env"),
      ask("file.write", "./out/**"),
      allow("process.spawn"),
      allow("tool.register", "**"),
    ],
  });
  await os.runUntilIdle();
  return process;
}

if (import.meta.main) {
  await using os = await createRuntime({ store: ":memory:", ...await contentOptions() });
  const process = await archive(os);
  console.log(await process.info());
}
