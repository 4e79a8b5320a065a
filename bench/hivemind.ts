/**
 * Seven published scenarios of agents that contend for one rate-limited API, without a gate, with
 * models behind one, and through one as a proxy: `deno task bench:hivemind`.
 *
 * Takes some five minutes. Names of scenarios play only those, and then nothing is written.
 * @module
 */

import { Gate, gated, type GateOptions, type Model } from "../mod.ts";
import { gateProxy } from "../providers/gate_proxy.ts";
import { listenHttp } from "../providers/http.ts";
import { type Came, play, type Playing, type Way } from "./hivemind_agents.ts";
import { mockApi, type Scenario } from "./hivemind_api.ts";

/** Where the scenarios are; they are not part of this repository. */
export const SCENARIOS = `${
  Deno.env.get("LIBOS_TEST_DATA") ?? new URL("../../shared/data", import.meta.url).pathname
}/hivemind.json`;

const SPEED = 10;
const SEED = 7;
const WINDOW_MS = 60_000;
const RESULTS = new URL("./HIVEMIND.md", import.meta.url);

/** The scenarios; null where the data is not there. */
export async function scenarios(): Promise<readonly Scenario[] | null> {
  try {
    return JSON.parse(await Deno.readTextFile(SCENARIOS)).scenarios;
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return null;
    throw thrown;
  }
}

/** A scenario of one window is too short to be made shorter. */
function speedOf({ agents, turns, rpm }: Scenario): number {
  return agents * turns <= rpm ? 1 : SPEED;
}

/** The three ways, the direct one first. What a gate is told is what the published one was told. */
const WAYS: readonly { readonly way: Way; readonly gate: (of: Scenario) => GateOptions }[] = [
  { way: "direct", gate: () => ({}) },
  {
    way: "model",
    gate: ({ hm_concurrency }) => ({ concurrency: hm_concurrency, concurrencyMax: hm_concurrency }),
  },
  { way: "proxy", gate: () => ({}) },
];

/** The least time in which an API with these windows can serve all, in its own time. */
function idealMs({ agents, turns, rpm }: Scenario, direct: Came): number {
  const windows = Math.ceil(agents * turns / rpm);
  return windows === 1 ? direct.wallMs : (windows - 1) * WINDOW_MS;
}

const HEAD = [
  ...["scenario", "way", "dead", "published", "turns", "wall", "ideal", "over", "≤ 15 %", "Jain"],
  ...["≥ 0.95", "429", "529", "502", "requests"],
];

function row(of: Scenario, played: { way: Way; came: Came; direct: Came }): string[] {
  const { way, came, direct } = played;
  const speed = speedOf(of);
  const wallMs = came.wallMs * speed;
  const idealOf = idealMs(of, direct);
  const over = wallMs / idealOf - 1;
  const published = way === "direct" ? of.paper.direct_fail : of.paper.hivemind_fail;
  const isWhole = came.dead === 0;
  const met = (is: boolean): string => way === "direct" ? "" : is ? "yes" : "NO";
  const { limited, overloaded, broken, requests } = came.seen;
  return [
    of.id,
    way,
    `${came.dead}/${of.agents}`,
    `${Math.round(published * of.agents)}/${of.agents}`,
    `${came.turns}/${of.agents * of.turns}`,
    isWhole ? `${(wallMs / 1_000).toFixed(1)} s` : "",
    `${(idealOf / 1_000).toFixed(1)} s`,
    isWhole ? `${(over * 100).toFixed(1)} %` : "",
    met(isWhole && over <= 0.15),
    isWhole ? came.jain.toFixed(3) : "",
    met(came.jain >= 0.95),
    ...[limited, overloaded, broken, requests].map(String),
  ];
}

/** Microseconds a call spends in a gate: alone, and with a thousand trees in line. */
async function inProcessUs(): Promise<readonly [alone: number, crowded: number]> {
  const reply = { text: "", calls: [], finish: "stop", inputTokens: 1, outputTokens: 1 } as const;
  const plain: Model = { id: "bench/instant", generate: () => Promise.resolve(reply) };
  const asked = { messages: [], tools: [], idempotencyKey: "k", model: plain.id };
  const { signal } = new AbortController();
  const spend = async (model: Model, calls: number, together: number): Promise<number> => {
    const startMs = performance.now();
    for (let n = 0; n < calls; n += together) {
      await Promise.all(Array.from({ length: together }, (_, i) =>
        model.generate(asked, {
          signal,
          asker: { tree: `t_${i}`, pid: "p_1", priority: 10 },
        })));
    }
    return (performance.now() - startMs) * 1_000 / calls;
  };
  const costs: number[] = [];
  for (const together of [1, 1_000]) {
    const behind = () => gated(plain, new Gate({ concurrency: 8 }));
    await spend(behind(), 4_000, together);
    const [own, raw] = [await spend(behind(), 20_000, together), await spend(plain, 20_000, 1)];
    costs.push(own - raw);
  }
  return [costs[0]!, costs[1]!];
}

/** Milliseconds that a request through the proxy takes longer, median of turns with a direct one. */
async function proxyMs(like: Scenario): Promise<number> {
  const calm = { ...like, rpm: 1e9, tpm: 1e12, p502: 0, preset: 0, spike_rate: 0 };
  await using api = mockApi({ ...calm, max_concurrent: 0, base_ms: 10, jitter_ms: 0 }, 1_000, SEED);
  const answer = gateProxy({ upstream: api.url, gate: new Gate() });
  const listener = listenHttp(answer);
  const body = JSON.stringify({
    model: "m",
    messages: [{ role: "user", content: "x".repeat(200) }],
  });
  const ask = async (url: string): Promise<number> => {
    const startMs = performance.now();
    await (await fetch(`${url}/messages`, { method: "POST", body })).text();
    return performance.now() - startMs;
  };
  const more: number[] = [];
  for (let n = 0; n < 600; n++) {
    const [direct, through] = [await ask(api.url), await ask(`${listener.url}/v1`)];
    if (n >= 100) more.push(through - direct);
  }
  await listener.close();
  return more.toSorted((a, b) => a - b)[more.length >> 1]!;
}

function table(rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(HEAD), line(HEAD.map(() => "---")), ...rows.map(line)].join("\n");
}

function page(
  rows: readonly (readonly string[])[],
  { overheads, load }: { readonly overheads: readonly string[]; readonly load: number },
): string {
  const date = new Date().toISOString().slice(0, 10);
  return `# Agents that contend for one rate-limited API

Taken ${date} by \`deno task bench:hivemind\`, on a machine with ${navigator.hardwareConcurrency}
cores, Deno ${Deno.version.deno}, load average ${load.toFixed(1)} before and
${
    Deno.loadavg()[0]!.toFixed(1)
  } at the end. Written by the bench. The scenarios, the rules of the mock API and the published results are those of arXiv
2604.17111; the mock is a real HTTP server on this machine.

- **direct**: agents without a gate, which die of the first error.
- **model**: \`gated(anthropicModel(…), gate)\`, told the concurrency that the published scheduler
  was told, and nothing of the rates.
- **proxy**: the same agents as *direct*, through \`libos gate\` without any setting.

All times are ${SPEED} times shorter than published (the window is ${WINDOW_MS / SPEED} ms), and are
shown in the scenario's own time; \`micro-5\` fits one window and runs as published. Where times are
shorter, what this machine itself takes for a request counts ${SPEED} times. The ideal is the time
at which the last window that is needed begins, for all turns and no request refused; with one
window, what the direct agents took. Jain's index is over the turns that each agent had when the
first had all of its own. \`Retry-After\` has decimals, since whole seconds would be too coarse for
a window this short. The last four columns are what the API answered, and how often it was asked.

${table(rows)}

## What a request costs more

| what | target | median |
| --- | --- | --- |
${overheads.map((one) => `| ${one} |`).join("\n")}
`;
}

async function overheads(like: Scenario): Promise<readonly string[]> {
  const [alone, crowded] = await inProcessUs();
  const through = await proxyMs(like);
  return [
    `a model behind a gate, mean of 20,000 calls | < 1 ms | ${(alone / 1_000).toFixed(3)} ms`,
    `the same, with 1,000 trees in line | < 1 ms | ${(crowded / 1_000).toFixed(3)} ms`,
    `through the proxy, median of 500 pairs | < 1 ms | ${through.toFixed(3)} ms`,
  ];
}

if (import.meta.main) {
  const all = await scenarios();
  if (all === null) {
    console.log(`skipped: no scenarios at "${SCENARIOS}"; see LIBOS_TEST_DATA`);
    Deno.exit(0);
  }
  // What is loaded and compiled by a first call is no part of any.
  for (const { way } of WAYS) await play(all[0]!, { way, speed: SPEED, seed: SEED });
  const load = Deno.loadavg()[0]!;
  const rows: string[][] = [];
  for (const of of all) {
    if (Deno.args.length > 0 && !Deno.args.includes(of.id)) continue;
    let direct: Came | undefined;
    for (const { way, gate } of WAYS) {
      const playing: Playing = { way, speed: speedOf(of), seed: SEED, gate: gate(of) };
      const came = await play(of, playing);
      direct ??= came;
      rows.push(row(of, { way, came, direct }));
      console.log(rows.at(-1)!.join("  "));
    }
  }
  const costs = await overheads(all[0]!);
  for (const one of costs) console.log(one);
  if (Deno.args.length === 0) {
    await Deno.writeTextFile(RESULTS, page(rows, { overheads: costs, load }));
  }
}
