/**
 * deno run demos/fork.ts
 *
 * Fork and merge: forks of one process explore, each in a copy of its memory and inside a budget,
 * and the best result becomes the parent's. Needs no permission at all.
 * @module
 */

import {
  type AgentProcess,
  allow,
  createRuntime,
  defineImage,
  type Program,
  type Sys,
} from "@agent-libos/core";

const STARTS = [-4, 1, 7];

/** A curve with several valleys. */
function height(x: number): number {
  return (x - 2) ** 2 / 4 + 3 * Math.sin(2 * x);
}

/** The parent starts forks and picks; a fork knows itself by its input. */
const explore: Program = async ({ sys, input }) => {
  if (typeof input === "number") return await descend(sys, input);
  await sys.object.create({ name: "step-size", value: 0.05 });
  const pids: AgentProcess["pid"][] = [];
  for (const start of STARTS) {
    const goal = `Go down from ${start}`;
    const { pid } = await sys.process.fork({ goal, input: start, budget: { children: 0 } });
    pids.push(pid);
  }
  const found: { x: number; y: number; name: string }[] = [];
  for (const pid of pids) {
    const { merged } = await sys.process.wait({ pids: [pid], merge: true });
    for (const name of merged) {
      const { value } = await sys.object.read({ object: name });
      found.push({ ...value as { x: number; y: number }, name });
    }
  }
  found.sort((a, b) => a.y - b.y);
  await sys.process.exit({ result: { best: found[0]!, of: found.length } });
};

/** Walks downhill from a place, with the parent's step size, and leaves what it found. */
async function descend(sys: Sys, start: number): Promise<void> {
  const { value } = await sys.object.read({ object: "step-size" });
  const step = value as number;
  let x = start;
  while (height(x - step) < height(x) || height(x + step) < height(x)) {
    x += height(x - step) < height(x + step) ? -step : step;
  }
  const place = { x: Math.round(x * 100) / 100, y: Math.round(height(x) * 100) / 100 };
  await sys.object.create({ name: "results/valley", value: place });
  await sys.process.exit({ result: place });
}

const image = defineImage({ name: "explorer", program: explore });
await using os = await createRuntime({ store: ":memory:", workspace: null });
const process = await os.spawn(image, {
  goal: "Find the deepest valley",
  grants: [allow("process.fork", "self")],
  budget: { children: STARTS.length },
});
const { result } = await process.wait();
for (const { pid, goal, outcome } of await os.ps({ all: true })) {
  console.log(pid.padEnd(6), goal.padEnd(24), JSON.stringify(outcome));
}
console.log("deepest:", JSON.stringify((result as { best: unknown }).best));
