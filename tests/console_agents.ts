/**
 * Agents that a console is looked at with: a family that reads, is refused, asks a person and waits.
 * @module
 */

import { type AgentImage, type AgentProcess, allow, ask, defineImage, deny } from "../mod.ts";
import type { Model, Runtime } from "../mod.ts";
import { scriptedModel } from "../testing.ts";
import { scratch } from "./scratch.ts";

/** Reads, is refused, remembers, and waits. */
export const reader = defineImage({
  name: "reader",
  program: async ({ sys }) => {
    await sys.file.read({ path: "./notes/monday.txt" });
    await sys.file.read({ path: "./notes/.env" }).catch(() => {});
    await sys.object.create({
      name: "summary",
      type: "text",
      mutable: true,
      value: "Two meetings",
    });
    await sys.message.receive({});
    await sys.process.exit({});
  },
});

/** Writes what a person has to allow. */
export const publisher = defineImage({
  name: "publisher",
  program: async ({ sys }) => {
    await sys.file.write({ path: "./out/report.md", text: "# Report\n" });
    await sys.process.exit({});
  },
});

/** Starts a reader and a publisher, and waits for both. */
export const coordinator = defineImage({
  name: "coordinator",
  program: async ({ sys }) => {
    const one = await sys.process.spawn({
      image: "reader",
      goal: "Summarise ./notes",
      grants: ["file.read(./notes/**)"],
      rules: "deny file.read(**/.env)",
    });
    const two = await sys.process.spawn({
      image: "publisher",
      goal: "Write ./out/report.md",
      grants: ["file.write(./out/**)"],
    });
    await sys.process.wait({ pids: [one.pid] });
    await sys.process.wait({ pids: [two.pid] });
    await sys.process.exit({});
  },
});

/** Ends as soon as it hears something. */
export const listener = defineImage({
  name: "listener",
  program: async ({ sys }) => {
    await sys.message.receive({});
    await sys.process.exit({});
  },
});

/** A model that writes when it is told to. */
export class SlowModel implements Model {
  readonly id = "scripted/slow";
  readonly #script = scriptedModel([
    {
      text: "I look first.",
      calls: [{ tool: "file_read", input: { path: "./notes/monday.txt" } }],
    },
    "Two meetings on Monday.",
  ]);
  readonly #begun = Promise.withResolvers<(text: string) => void>();
  readonly #over = Promise.withResolvers<void>();

  /** Comes back when the second turn has begun, with what writes a part of it. */
  begun(): Promise<(text: string) => void> {
    return this.#begun.promise;
  }

  /** Lets the second turn be over. */
  end(): void {
    this.#over.resolve();
  }

  /** Answers; the first turn at once. */
  async generate(
    request: Parameters<Model["generate"]>[0],
    options: Parameters<Model["generate"]>[1],
  ): ReturnType<Model["generate"]> {
    if (request.messages.some(({ role }) => role === "assistant")) {
      this.#begun.resolve((text) => options.onText?.(text));
      await this.#over.promise;
    }
    return await this.#script.generate(request, { signal: options.signal });
  }
}

/** An agent with a model. */
export function talker(model: Model): AgentImage {
  return defineImage({ name: "talker", instructions: "Be brief.", model });
}

/** Images that consoles are opened with. */
export const IMAGES: readonly AgentImage[] = [coordinator, reader, publisher, listener];

/** Text that would do something if a page took it for more than text. */
export const EVIL = '<img src=x onerror="window.evil=1"><script>window.evil=2</script> ' +
  "[x](javascript:window.evil=3) \u202etxt.exe\u202c a\u200bb \u001b[31mred\u001b[0m &lt;b&gt;";

/** A folder with notes to read. */
export async function notes(): Promise<string> {
  const folder = scratch();
  await Deno.mkdir(`${folder}/notes`);
  await Deno.writeTextFile(`${folder}/notes/monday.txt`, "Two meetings\n");
  await Deno.writeTextFile(`${folder}/notes/.env`, "TOKEN=1\n");
  return folder;
}

/** Starts a family; comes back when all of it waits. */
export async function family(
  os: Runtime,
  goal = "Publish the weekly report",
): Promise<AgentProcess> {
  const root = await os.spawn(coordinator, {
    goal,
    images: [reader, publisher],
    labels: { team: "ops" },
    budget: { tokens: 50_000, usd: 2, toolCalls: 20 },
    grants: [
      allow("file.read", "./notes/**"),
      ask("file.write", "./out/**"),
      allow("process.spawn"),
      deny("file.read", "**/.env"),
    ],
  });
  await os.runUntilIdle();
  return root;
}
