/**
 * A life of a server over a store in a file, which may kill itself at a write after a decision.
 *
 * `server_kill_child.ts FOLDER (before|after|never) N`: the Nth write from a person's answer on is
 * the fatal one, from 1. Prints where it listens, an approver's token, a starter's, and a link that
 * signs another approver's browser in, as JSON.
 * @module
 */

import { createRuntime, defineImage, SqliteStore, type Store } from "../mod.ts";
import { serve } from "../server/mod.ts";

/** Writes a line, if a person lets it. */
export const writer = defineImage({
  name: "writer",
  program: async ({ sys }) => {
    const said = await sys.file.write({ path: "./out/a.md", text: "hello\n", mode: "create" }).then(
      () => "written",
      ({ code }) => code,
    );
    await sys.process.exit({ result: said });
  },
});

/** A store whose process dies at a write. Its claims void older ones: their owner was killed. */
function fatal(store: SqliteStore, when: string, at: number): Store {
  let isArmed = false;
  let writes = 0;
  const around = async <T>(write: () => Promise<T>): Promise<T> => {
    if (isArmed) writes += 1;
    const isFatal = isArmed && writes === at;
    if (isFatal && when === "before") Deno.kill(Deno.pid, "SIGKILL");
    const done = await write();
    if (isFatal && when === "after") Deno.kill(Deno.pid, "SIGKILL");
    return done;
  };
  const own: Partial<Store> = {
    claim: (tree, node, options) => store.claim(tree, node, { ...options, steal: true }),
    commit: (...args) => around(() => store.commit(...args)),
    putInbox: (...args) => {
      isArmed ||= JSON.stringify(args).includes("answer");
      return around(() => store.putInbox(...args));
    },
  };
  return new Proxy(store, {
    get(target, name) {
      if (name in own) return own[name as keyof Store];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

if (import.meta.main) {
  const [folder = "", when = "never", n = "0"] = Deno.args;
  const runtime = await createRuntime({
    store: fatal(SqliteStore.open(`${folder}/store.db`), when, Number(n)),
    workspace: `${folder}/files`,
    approvals: "queue",
    images: [writer],
  });
  const server = serve(runtime, { images: [writer] });
  const { secret } = server.tokens.create({ name: "ada", role: "approver" });
  const starter = server.tokens.create({ name: "bob", role: "operator" }).secret;
  const { record } = server.tokens.create({ name: "cleo", role: "approver" });
  const link = server.link(record.id);
  console.log(JSON.stringify({ url: server.url, secret, starter, link }));
}
