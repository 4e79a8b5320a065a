/**
 * A kernel that is going to be killed. `fill`: makes 10,000 events, says how many, and works on.
 * `answer`: opens the same store, says when its first calls were answered, and works on.
 * @module
 */

import { treeOf } from "../kernel/ids.ts";
import { Stage } from "./stage.ts";

const EVENTS = 10_000;
const CALLS_PER_STEP = 20;

function say(word: unknown): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(word)}\n`));
}

if (import.meta.main) {
  const loadedMs = performance.now();
  const [path = "", job = ""] = Deno.args;
  // Filling need not be slow; nothing is left unsynced once the last commit has waited.
  await using stage = Stage.sqlite(path, job === "fill" ? "process" : "power");
  let told = false;
  stage.teach("restarted", async (call, { pid, step }) => {
    const { state } = await stage.node.open(treeOf(pid));
    if (step === 1) await call("object.create", { name: "list", list: true });
    let firstMs: number | null = null;
    for (let i = 0; i < CALLS_PER_STEP; i++) {
      const seq = state.seq;
      await call("bench.send", { to: "x", text: `call ${step}.${i} ${"x".repeat(900)}` });
      firstMs ??= performance.now() - loadedMs;
      await call("object.append", { object: "list", item: `item ${step}.${i}` });
      const isNew = state.seq > seq;
      if (job === "answer" && isNew && !told) {
        told = true;
        say({ firstMs, newMs: performance.now() - loadedMs, lines: state.seq });
      }
    }
    if (job === "fill" && state.seq >= EVENTS && !told) {
      told = true;
      say(state.seq);
    }
  });
  if (job === "fill") await stage.plant("restarted");
  await stage.run();
}
