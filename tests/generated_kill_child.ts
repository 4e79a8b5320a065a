/**
 * A life of a kernel whose agent has a generated tool of twenty calls, in a real cage.
 *
 * `generated_kill_child.ts FOLDER (before|after) N`: the process kills itself before the tool's Nth
 * call of this life is heard, or after its answer is kept; 0 for never. The end of the agent is
 * printed as JSON.
 * @module
 */

import { PORT_CALLS, PORT_ENDS, PORT_POSITIONS } from "../broker/port_surface.ts";
import type { CageRun } from "../broker/sandbox.ts";
import { allow, createRuntime, defineImage, SqliteStore, type Store } from "../mod.ts";
import { RealChildren } from "../providers/children.ts";
import { realClock } from "../providers/clock.ts";
import { realRandom } from "../providers/random.ts";
import { ProcessSandbox } from "../sandboxes/process_sandbox.ts";

/** One call to begin, nine lines each in a list and in a file of its own, one to read the list. */
const SOURCE = `export default async (input, os) => {
  const said = [];
  const ask = (name, args) =>
    os.call(name, args).then(() => said.push("ok"), (error) => said.push(error.code));
  await ask("object.create", { name: "log", list: true });
  for (let i = 0; i < 9; i++) {
    await ask("object.append", { object: "log", item: i });
    await ask("file.write", { path: "f" + i, text: "x", mode: "create" });
  }
  const { value } = await os.call("object.read", { object: "log" });
  return { said, value };
};`;
const RIGHTS = ["object.*(log)", "file.write(./**)"];
const image = defineImage({
  name: "killed",
  program: async ({ sys }) => {
    const about = { name: "tool", description: "Makes twenty calls", rights: RIGHTS };
    const { tool } = await sys.tool.propose({
      ...about,
      inputSchema: { type: "object" },
      source: SOURCE,
    });
    await sys.tool.register({ tool });
    const { output } = await sys.tool.call({ name: "tool", input: {} });
    await sys.process.exit({ result: output });
  },
});

/** Its claims void older ones: their owner was killed. */
function claiming(store: SqliteStore): Store {
  return new Proxy(store, {
    get(on, name) {
      if (name === "claim") {
        return (...[tree, node, options]: Parameters<Store["claim"]>) =>
          on.claim(tree, node, { ...options, steal: true });
      }
      const field: unknown = Reflect.get(on, name, on);
      return typeof field === "function" ? field.bind(on) : field;
    },
  });
}

if (import.meta.main) {
  const [folder = "", when = "", n = "0"] = Deno.args;
  const surface = { calls: PORT_CALLS, positions: PORT_POSITIONS, ends: PORT_ENDS };
  const parts = { clock: realClock, random: realRandom, surface, children: new RealChildren() };
  const cages = new ProcessSandbox(parts);
  const die = (at: string, call: number): void => {
    if (at === when && call === Number(n)) Deno.kill(Deno.pid, "SIGKILL");
  };
  const run = (one: CageRun) => {
    let calls = 0;
    return cages.run({
      ...one,
      call: async (name, args) => {
        const call = ++calls;
        die("before", call);
        const answer = await one.call(name, args);
        die("after", call);
        return answer;
      },
    });
  };
  const sandbox = { tier: cages.tier, run, close: () => cages.close() };
  const compiler = {
    check: ({ source }: { readonly source: string }) =>
      Promise.resolve({ ok: true as const, code: source }),
    close: () => Promise.resolve(),
  };
  await using os = await createRuntime({
    store: claiming(SqliteStore.open(`${folder}/kernel.db`)),
    images: [image],
    workspace: `${folder}/work`,
    approvals: "deny",
    jit: { review: "never", workshop: { sandbox, compiler } },
  });
  const grants = [allow("tool.register", "*"), allow("file.write", "./**")];
  const process = await os.get("p_1") ?? await os.spawn(image, { goal: "call", grants });
  console.log(JSON.stringify((await process.wait()).outcome));
}
