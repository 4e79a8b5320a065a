/**
 * A compiler with a child process and a clock of its own, for tests.
 * @module
 */

import type { Checked, Problem } from "../broker/sandbox.ts";
import type { Child, Children, ChildSpec } from "../kernel/child.ts";
import { VirtualClock } from "../providers/clock.ts";
import { TypeScriptCompiler } from "../sandboxes/compiler/compiler.ts";

/** A tool with nothing wrong. */
export const TOOL = `export default async (input, os) => ({ total: input.n ?? 0 });`;
/** A schema with a field of each kind. */
export const INPUT = {
  type: "object",
  properties: {
    path: { type: "string" },
    n: { type: "integer" },
    kind: { enum: ["a", "b"] },
    tags: { type: "array", items: { type: ["string", "null"] } },
    either: { anyOf: [{ type: "boolean" }, { const: 7 }] },
    odd: { allOf: [] },
  },
  required: ["path"],
};
/** What the tools return. */
export const OUTPUT = {
  type: "object",
  properties: { total: { type: "number" } },
  required: ["total"],
};

/** Children as the system starts them, without walls of its own. */
export class PlainChildren implements Children {
  readonly specs: ChildSpec[] = [];
  readonly ends: Promise<unknown>[] = [];

  start(spec: ChildSpec): Child {
    this.specs.push(spec);
    const child = new Deno.Command(Deno.execPath(), {
      args: [...spec.args],
      clearEnv: true,
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const writer = child.stdin.getWriter();
    writer.closed.catch(() => {});
    const ended = child.status.then(({ code }) => ({ code, errors: "" }));
    this.ends.push(ended);
    return {
      pid: child.pid,
      output: child.stdout,
      write: (bytes) => writer.write(bytes),
      kill() {
        try {
          child.kill("SIGKILL");
        } catch {
          // It is over.
        }
      },
      ended,
      usage: () => null,
    };
  }

  jail(): Promise<{ works: boolean; why: string }> {
    return Promise.resolve({ works: false, why: "none" });
  }
}

/** What a test works with. */
export interface Place {
  readonly compiler: TypeScriptCompiler;
  readonly children: PlainChildren;
  readonly clock: VirtualClock;
  check(source: string, output?: typeof OUTPUT | null): Promise<Checked>;
}

/** Runs a test, and waits until its children are gone. */
export async function withCompiler(run: (place: Place) => Promise<void>): Promise<void> {
  const children = new PlainChildren();
  const clock = new VirtualClock();
  const compiler = new TypeScriptCompiler({ children, clock });
  const check = (source: string, outputSchema: typeof OUTPUT | null = OUTPUT) =>
    compiler.check({ source, inputSchema: INPUT, outputSchema });
  try {
    await run({ compiler, children, clock, check });
  } finally {
    await compiler.close();
    await Promise.all(children.ends);
  }
}

/** What was found; nothing when all is well. */
export function problemsOf(checked: Checked): readonly Problem[] {
  return checked.ok ? [] : checked.problems;
}

/** A tool, and a line after it. */
export const at = (line: string) => `${TOOL}\n${line}`;
/** A tool with this body. */
export const within = (body: string) => `export default async (input, os) => {\n  ${body}\n};`;
