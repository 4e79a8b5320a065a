/**
 * Runs hostile bodies against a tier, each kernel under attack in a process of its own, and judges
 * what came of it by all that a sandbox must keep.
 *
 * Bodies run in waves. Whatever is wrong with a wave as a whole, or only slow, is looked for again
 * with each body alone in a fresh kernel; what does not come again there was the neighbour's.
 * @module
 */

import { fileURLToPath } from "node:url";
import type { Tier } from "../../broker/sandbox.ts";
import { RealChildren } from "../../providers/children.ts";
import { allBodies } from "./all.ts";
import type { Attack, Said } from "./driver.ts";
import type { Hostile } from "./hostile.ts";
import { notHeld, unsteady } from "./residual.ts";

/** What came of one body. */
export interface Verdict {
  readonly body: Hostile;
  /** What it broke, in words; empty when it was held. */
  readonly broken: readonly string[];
}

/** What came of all bodies in one tier. */
export interface TierVerdict {
  readonly tier: Tier;
  readonly verdicts: readonly Verdict[];
  /** The longest that a kernel's turn was held in a wave. */
  readonly lagMs: number;
  readonly tookMs: number;
  /** What was wrong with a wave and came from none of its bodies alone. */
  readonly noise: readonly string[];
}

const WAVE = 24;
/** Fewer, since one of them may take all down. */
const WAVE_OF_WORKERS = 12;
const ABREAST = 3;
/** Kernels at a time. */
const LANES = 2;
/** How often a body is tried once more, since the machine has other work as well. */
const TRIES = 4;
/** How long a kernel may take for one wave before it counts as hung. */
const WAVE_MS_MAX = 30_000;
const DENO = Deno.execPath();
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Heap of a kernel and of each Worker in it, so that one that fills it is soon over. */
const HEAP_MIB = 400;

/** Whether a tier can be tried here, and why not. */
export async function canTry(tier: Tier): Promise<{ readonly can: boolean; readonly why: string }> {
  if (Deno.build.os !== "linux") return { can: false, why: "what is left is seen in /proc only" };
  if (tier !== "jail") return { can: true, why: "" };
  const { works, why } = await new RealChildren().jail();
  return { can: works, why };
}

/** Tries all bodies, or some. */
export async function tryTier(
  tier: Tier,
  choose: (body: Hostile) => boolean = () => true,
): Promise<TierVerdict> {
  const startMs = performance.now();
  const bodies = await allBodies();
  const numbers = bodies.flatMap((body, number) => choose(body) ? [number] : []);
  const trial = new Trial(tier, bodies);
  await trial.waves(numbers);
  await trial.alone();
  return {
    tier,
    verdicts: numbers.map((n) => ({ body: bodies[n]!, broken: trial.broken.get(n) ?? [] })),
    lagMs: trial.lagMs,
    tookMs: Math.round(performance.now() - startMs),
    noise: trial.noise,
  };
}

/** What one kernel saw. */
interface Kernel {
  readonly said: readonly Said[];
  readonly isDone: boolean;
  /** What came on its outputs that it did not say itself. */
  readonly stray: string;
}

class Trial {
  readonly broken = new Map<number, readonly string[]>();
  readonly noise: string[] = [];
  lagMs = 0;
  readonly #tier: Tier;
  readonly #bodies: readonly Hostile[];
  readonly #suspects: number[] = [];
  /** What was wrong with waves that nobody has accounted for. */
  readonly #open = new Map<number, readonly string[]>();

  constructor(tier: Tier, bodies: readonly Hostile[]) {
    this.#tier = tier;
    this.#bodies = bodies;
  }

  /** Many bodies in one kernel; those that bring it down in this tier are tried alone at once. */
  async waves(numbers: readonly number[]): Promise<void> {
    const isRisky = (n: number) => notHeld(this.#tier).has(this.#bodies[n]!.name);
    const calm = numbers.filter((n) => !isRisky(n));
    this.#suspects.push(...numbers.filter(isRisky));
    const lanes = Array.from(
      { length: LANES },
      (_, lane) => calm.filter((_, i) => i % LANES === lane),
    );
    await Promise.all(
      lanes.map((lane) =>
        this.#lane(inWaves(lane, this.#tier === "worker" ? WAVE_OF_WORKERS : WAVE))
      ),
    );
  }

  async #lane(all: readonly (readonly number[])[]): Promise<void> {
    let waves = all;
    while (waves.length > 0) {
      const kernel = await this.#attack(waves, ABREAST);
      this.#take(kernel, waves);
      if (kernel.stray !== "") {
        for (const wave of waves) this.#suspect(wave, [`stray output: ${kernel.stray}`]);
        return;
      }
      if (kernel.isDone) return;
      const last = kernel.said.findLast(({ kind }) => kind === "wave");
      const next = last?.kind === "wave" ? last.wave + 1 : 0;
      // A dead kernel tells nothing of the wave that it was at.
      if (!hasTold(kernel) && next < waves.length) this.#suspect(waves[next]!, ["the kernel died"]);
      waves = waves.slice(hasTold(kernel) ? next : next + 1);
    }
  }

  /** Each suspect in a fresh kernel; what is slow there again, with nothing of ours beside it. */
  async alone(): Promise<void> {
    const left = [...new Set(this.#suspects)];
    const again: { readonly n: number; readonly isDue: (broken: readonly string[]) => boolean }[] =
      [];
    const lane = async () => {
      for (let n = left.shift(); n !== undefined; n = left.shift()) {
        const broken = await this.#alone(n);
        this.broken.set(n, broken);
        const { name } = this.#bodies[n]!;
        const isKnown = notHeld(this.#tier).has(name);
        // What a tier is known not to hold need not be slow each time.
        if (!isKnown && isSlow(broken)) again.push({ n, isDue: isSlow });
        // On a busy machine its slowness may be taken for that of others.
        const isSure = isKnown && !unsteady(this.#tier).has(name);
        if (isSure && isHeld(broken)) again.push({ n, isDue: isHeld });
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    for (const { n, isDue } of again) {
      for (let i = 0; i < TRIES && isDue(this.broken.get(n)!); i++) {
        this.broken.set(n, await this.#alone(n));
      }
    }
    for (const [n, broken] of this.#open) {
      if (this.broken.get(n)?.length === 0) {
        this.noise.push(`"${this.#bodies[n]!.name}": ${broken}`);
      }
    }
  }

  async #alone(number: number): Promise<readonly string[]> {
    const kernel = await this.#attack([[number]], 1);
    const broken = kernel.said.flatMap((said) => said.kind === "done" ? [] : said.broken);
    // It ends itself when it has told that something is wrong.
    if (!kernel.isDone && !hasTold(kernel)) broken.push("the kernel died");
    if (kernel.stray !== "") broken.push(`stray output: ${kernel.stray.slice(0, 200)}`);
    return [...new Set(broken)];
  }

  #take(kernel: Kernel, waves: readonly (readonly number[])[]): void {
    for (const said of kernel.said) {
      if (said.kind === "done") this.lagMs = Math.max(this.lagMs, said.lagMs);
      else if (said.kind === "wave") {
        if (said.broken.length > 0) this.#suspect(waves[said.wave]!, said.broken);
      } else if (said.broken.some((one) => one.startsWith("slow"))) {
        this.#suspect([said.number], said.broken);
      } else if (said.broken.length > 0) this.#suspect([said.number], said.broken);
    }
  }

  #suspect(numbers: readonly number[], broken: readonly string[]): void {
    for (const n of numbers) {
      this.#suspects.push(n);
      this.#open.set(n, broken);
    }
  }

  async #attack(waves: readonly (readonly number[])[], abreast: number): Promise<Kernel> {
    const secret = `SECRET-${crypto.randomUUID()}`;
    const folder = Deno.makeTempDirSync({ prefix: "libos-escape-" });
    for (const name of ["tmp", "home", "work"]) Deno.mkdirSync(`${folder}/${name}`);
    Deno.writeTextFileSync(`${folder}/secret.txt`, secret);
    const word = `#${crypto.randomUUID()}#`;
    const attack: Attack = { tier: this.#tier, folder, word, secret, waves, abreast };
    try {
      return await underAttack(attack);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  }
}

function isSlow(broken: readonly string[]): boolean {
  return broken.length > 0 && broken.every((one) => one.startsWith("slow"));
}

function isHeld(broken: readonly string[]): boolean {
  return broken.length === 0;
}

async function underAttack(attack: Attack): Promise<Kernel> {
  const { folder, secret, word, waves } = attack;
  const child = new Deno.Command(DENO, {
    args: [
      "run",
      "-A",
      "--no-prompt",
      "--no-check",
      "--quiet",
      "--unstable-worker-options",
      "--unstable-broadcast-channel",
      `--config=${ROOT}/deno.json`,
      `--v8-flags=--max-old-space-size=${HEAP_MIB}`,
      fileURLToPath(new URL("driver.ts", import.meta.url)),
      JSON.stringify(attack),
    ],
    cwd: `${folder}/work`,
    env: {
      LIBOS_ESCAPE_ENV: secret,
      TMPDIR: `${folder}/tmp`,
      NO_COLOR: "1",
      DENO_NO_UPDATE_CHECK: "1",
    },
    detached: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const hung = setTimeout(() => killGroup(child.pid), WAVE_MS_MAX * waves.length);
  const [stdout, stderr] = await Promise.all([lastText(child.stdout), lastText(child.stderr)]);
  await child.status;
  clearTimeout(hung);
  killGroup(child.pid);
  return kernelOf(word, stdout, stderr);
}

function kernelOf(word: string, stdout: string, stderr: string): Kernel {
  const lines = stdout.split("\n").filter((line) => line !== "");
  const said = lines
    .filter((line) => line.startsWith(word))
    .map((line) => JSON.parse(line.slice(word.length)) as Said);
  const isDone = said.some(({ kind }) => kind === "done");
  const stray = lines.filter((line) => !line.startsWith(word)).join("\n");
  // What the runtime writes when it dies is no work of the tool's; its death is told already.
  return { said, isDone, stray: stray + (isDone ? stderr : "") };
}

/** Whether the last thing it told of a wave is what was wrong with it. */
function hasTold({ said }: Kernel): boolean {
  const last = said.findLast(({ kind }) => kind === "wave");
  return last?.kind === "wave" && last.broken.length > 0;
}

/** What a stream says, or its end when that is long. */
async function lastText(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    text = (text + decoder.decode(chunk, { stream: true })).slice(-(2 ** 22));
  }
  return text;
}

function killGroup(pid: number): void {
  try {
    Deno.kill(-pid, "SIGKILL");
  } catch {
    // It is over.
  }
}

function inWaves(numbers: readonly number[], size: number): number[][] {
  const waves: number[][] = [];
  for (let at = 0; at < numbers.length; at += size) waves.push(numbers.slice(at, at + size));
  return waves;
}

if (import.meta.main) {
  const [tier = "process", pattern = ""] = Deno.args;
  const verdict = await tryTier(tier as Tier, ({ name }) => name.includes(pattern));
  for (const { body, broken } of verdict.verdicts) {
    if (broken.length > 0) {
      console.log(`${body.class} | ${body.name}\n    ${broken.join("\n    ")}`);
    }
  }
  const held = verdict.verdicts.filter(({ broken }) => broken.length === 0).length;
  console.log(`${tier}: ${held} of ${verdict.verdicts.length} held, lag ${verdict.lagMs} ms`);
  console.log(`took ${verdict.tookMs} ms; noise: ${JSON.stringify(verdict.noise, null, 1)}`);
}
