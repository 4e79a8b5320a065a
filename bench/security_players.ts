/**
 * The rows of the security bench, played in as many processes as there are processors. A part is
 * one row over one suite; what a row comes to is put together in the order of its suites, so that
 * who played what, and when, is not seen in it.
 * @module
 */

import { parseJson } from "../kernel/parse.ts";
import type { Row, Sample, Tally } from "./security_rows.ts";

/** One row over one suite, by the name of the suite. */
export interface Part {
  readonly suite: string;
  readonly row: Row;
  readonly sample: Sample;
}

const CHILD = new URL("./security_child.ts", import.meta.url).href;

/** Plays parts, those first that stand first; `told` hears of each when it was played. */
export async function playParts(
  parts: readonly Part[],
  told: (part: Part, tally: Tally) => void,
): Promise<readonly Tally[]> {
  const tallies: Tally[] = [];
  let next = 0;
  const count = Math.min(navigator.hardwareConcurrency, parts.length);
  await Promise.all(Array.from({ length: count }, async () => {
    await using player = new Player();
    for (let i = next++; i < parts.length; i = next++) {
      const part = parts[i]!;
      const tally = await player.play(part);
      tallies[i] = tally;
      told(part, tally);
    }
  }));
  return tallies;
}

/** What a row comes to over all of its suites. */
export function summed(tallies: readonly Tally[]): Tally {
  const sum = (of: (one: Tally) => number): number =>
    tallies.reduce((all, one) => all + of(one), 0);
  return {
    calls: sum((one) => one.calls),
    denied: sum((one) => one.denied),
    askedByTasks: sum((one) => one.askedByTasks),
    pairs: sum((one) => one.pairs),
    through: tallies.flatMap((one) => one.through),
    effects: sum((one) => one.effects),
    asking: sum((one) => one.asking),
    finished: sum((one) => one.finished),
  };
}

/** A process that plays one part after another, until its input ends. */
class Player implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: AsyncGenerator<string>;

  constructor() {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-prompt", "--no-check", CHILD],
      stdin: "piped",
      stdout: "piped",
      env: { DENO_NO_UPDATE_CHECK: "1" },
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#lines = linesOf(this.#child.stdout);
  }

  async play(part: Part): Promise<Tally> {
    await this.#input.write(new TextEncoder().encode(`${JSON.stringify(part)}\n`));
    const { value, done } = await this.#lines.next();
    if (done === true) {
      throw new Error(`Nobody played "${part.row.name}" over ${part.suite}: the player died`);
    }
    return parseJson(value) as Tally;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {});
    await this.#child.status;
    await this.#lines.return(undefined);
  }
}

/** Lines as they come. */
export async function* linesOf(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<string> {
  let text = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (text + chunk).split("\n");
    text = parts.pop()!;
    yield* parts;
  }
}
