/**
 * Whole trees: `tree ls | export | import | retain`, `gc` and `erase`.
 * @module
 */

import { createReadStream } from "node:fs";
import { resolve } from "node:path";
import { SysError } from "../kernel/errors.ts";
import { type TreeId, treeNumber, treeOf } from "../kernel/ids.ts";
import type { Store } from "../kernel/store.ts";
import { gc as collect } from "../runtime/collect.ts";
import { exportTree, importTree, moveTree } from "../runtime/portable.ts";
import { eraseObject } from "../runtime/retention.ts";
import type { Client } from "../server/client.ts";
import type { TreeView } from "../server/schema/process.ts";
import { treeView } from "../server/view/process.ts";
import type { Command, Context } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { several } from "./audit_parts.ts";
import { bytesOf, isFile } from "./files.ts";
import { operatorOf } from "./order.ts";
import { list, show } from "./output.ts";
import { owning } from "./position.ts";
import { progressing } from "./progress.ts";
import { keptHere, keptThere, retain, RETAIN_OPTIONS, RETAIN_USAGE } from "./retain.ts";
import { treesThere } from "./system_there.ts";
import { findObject, findTree, headsOf, reading, treeIn } from "./store.ts";
import { short } from "./words.ts";

/** `tree`. */
export const tree: Command = {
  name: "tree",
  group: "state",
  usage: `ls | export TREE [--move] | import FILE [--head HASH] | ${RETAIN_USAGE}`,
  about: "List trees, carry one to another store, or say how long payloads are kept",
  examples: ["libos tree export t_1 > t_1.jsonl", "libos tree retain t_1 30 --dry-run"],
  options: { move: { type: "boolean" }, head: { type: "string" }, ...RETAIN_OPTIONS },
  words: [0, 3],
  // Without a tree and days: to take away what is due, which a server does by itself.
  isHereOnly: ([verb, ...rest]) => verb === "retain" && rest.length === 0,
  remote: (at, client) => run(at, client),
  run: (at) => run(at, null),
};

async function run(at: Context, client: Client | null): Promise<number> {
  const [verb = "ls", word, more] = at.words;
  if (verb === "retain") {
    return await retain(at, client === null ? keptHere(at) : keptThere(client));
  }
  if (more !== undefined) throw new UsageError(`Cannot run "tree ${verb}": too many words`);
  if (verb === "ls" && word === undefined) {
    if (client === null) return await ls(at);
    return listTrees(at, await Array.fromAsync(client.all<Listed>("/v1/trees", { all: true })));
  }
  if (verb === "export" && word !== undefined) return await write(at, client, word);
  if (verb === "import" && word !== undefined) return await read(at, client, word);
  throw new UsageError(`Cannot run "tree ${verb}": expected ${tree.usage}`);
}

/** What a list of trees shows of one. */
type Listed = Pick<TreeView, "tree" | "seq" | "live" | "head" | "title">;

/** Tables say what the store knows of each; only who reads them as data has them loaded. */
async function ls(at: Context): Promise<number> {
  const isData = ["json", "jsonl", "yaml"].includes(at.format);
  const trees = await reading(at, async (store): Promise<Listed[]> => {
    const found: Listed[] = [];
    for (const head of await headsOf(store, true)) {
      const { summary: { live, title } } = head;
      const known = { tree: head.tree, seq: head.seq, live, head: head.head, title };
      found.push(isData ? await loadedTree(store, known) : known);
    }
    return found;
  });
  return listTrees(at, trees);
}

/** A tree as the API shows it; one that cannot be read says why. */
async function loadedTree(store: Store, known: Listed): Promise<TreeView> {
  const { live, head } = known;
  const id = known.tree as TreeId;
  try {
    const { state } = await treeIn(store, id);
    return treeView({ state, head }, { live, broken: null });
  } catch (thrown) {
    if (!(thrown instanceof SysError)) throw thrown;
    const empty = { owner: "", processes: 0, policy: "", ceiling: [] };
    return { ...known, root: `p_${treeNumber(id)}`, ...empty, broken: thrown.message };
  }
}

function listTrees(at: Context, trees: readonly Listed[]): number {
  list(at, trees, {
    columns: [
      { head: "TREE", of: ({ tree }) => tree },
      { head: "LINES", of: ({ seq }) => String(seq) },
      { head: "STATE", of: ({ live }) => live ? "live" : "ended" },
      { head: "HEAD", of: ({ head }) => head.slice(0, 12) },
      { head: "TITLE", of: ({ title }) => short(title, 80) },
      { head: "SHA256", wide: true, of: ({ head }) => head },
    ],
    name: ({ tree }) => tree,
    none: "No trees; libos run starts one",
  });
  return EXIT.ok;
}

/** Prints a tree as records, one a line; with `--move`, it ends here first. */
async function write(at: Context, client: Client | null, word: string): Promise<number> {
  if (at.io.isTerminal) {
    throw new UsageError(`Cannot export "${word}" to a terminal: expected > FILE`);
  }
  const id = client === null
    ? await reading(at, (store) => findTree(store, word))
    : (await treesThere(client, word))[0]!;
  const move = at.flags.on("move");
  if (move && !at.flags.on("yes")) {
    throw new UsageError(`Cannot move "${id}": its processes end here for good, expected -y`);
  }
  if (client !== null) {
    for await (const text of client.exportTree(id, { move })) at.io.out(text);
    return EXIT.ok;
  }
  if (move) {
    return await owning(at, `move "${id}"`, async ({ node }) => {
      const given = { to: "an export", by: operatorOf(at) };
      return await print(at, moveTree(node, id as TreeId, given));
    });
  }
  return await reading(at, (store) => print(at, exportTree(store, id as TreeId)));
}

async function print(at: Context, records: AsyncIterable<string>): Promise<number> {
  for await (const record of records) at.io.out(`${record}\n`);
  return EXIT.ok;
}

async function read(at: Context, client: Client | null, file: string): Promise<number> {
  const path = resolve(at.io.cwd, file);
  const head = at.flags.text("head");
  const known = head === undefined ? {} : { head };
  if (client !== null && !await isFile(at, file)) throw noExport(path);
  const made = client === null
    ? await owning(at, `import "${file}"`, async ({ node }) => {
      return await importTree(node.options.store, linesOf(path), { by: operatorOf(at), ...known });
    })
    : await client.importTree(await bytesOf(at, file), known);
  const how = made.created ? "is here now" : "was here already, and nothing was changed";
  show(at, { ...made }, {
    name: made.tree,
    lines: [
      `${made.tree} ${how}: ${several(made.lines, "line")}, ${several(made.blobs, "value")}`,
      ...(made.inDoubt === 0
        ? []
        : [`${several(made.inDoubt, "effect")} under way at the export: in doubt, and not sent`]),
    ],
  });
  return EXIT.ok;
}

async function* linesOf(path: string): AsyncIterable<string> {
  const input = createReadStream(path, "utf8");
  let held = "";
  try {
    for await (const chunk of input) {
      // Only line feeds end a record: canonical JSON may hold other line ends.
      const parts = `${held}${chunk}`.split("\n");
      held = parts.pop() ?? "";
      yield* parts;
    }
    if (held !== "") yield held;
  } catch (error) {
    const { code } = error as { readonly code?: string };
    if (code !== "ENOENT") throw error;
    throw noExport(path);
  } finally {
    input.destroy();
  }
}

function noExport(path: string): SysError {
  return new SysError("ENOENT", `Cannot read "${path}": absent, expected an export`);
}

/** `gc`. */
export const gc: Command = {
  name: "gc",
  group: "state",
  usage: "",
  about: "Remove values of the store that no tree refers to any more",
  examples: ["libos gc", "libos gc -o json"],
  options: {},
  words: [0, 0],
  async run(at) {
    // There is nothing to collect where no store is, and none is made.
    await reading(at, () => Promise.resolve());
    const made = await progressing(at, "Looking for values that nothing refers to", () =>
      owning(
        at,
        "collect values",
        ({ node }) => collect(node, operatorOf(at)),
      ));
    show(at, { ...made }, {
      name: String(made.count),
      lines: [`Removed ${several(made.count, "value")} of ${made.bytes} bytes; kept ${made.kept}`],
    });
    return EXIT.ok;
  },
};

/** `erase`. */
export const erase: Command = {
  name: "erase",
  group: "state",
  usage: "OBJECT -m REASON [--partly] -y",
  about: "Take the content of an object away for good, everywhere in the store",
  examples: [
    'libos erase obj_1.4 -m "asked by its owner" -y',
    'libos erase /p_1/notes/ada -m "asked by its owner" --partly -y',
  ],
  options: { reason: { type: "string", short: "m" }, partly: { type: "boolean" } },
  words: [1, 1],
  async run(at) {
    const [word = ""] = at.words;
    const reason = at.flags.text("reason");
    if (reason === undefined) throw new UsageError(`Cannot erase "${word}": expected -m REASON`);
    if (!at.flags.on("yes")) {
      throw new UsageError(`Cannot erase "${word}": it cannot be undone, expected -y`);
    }
    const { object } = await reading(at, (store) => findObject(store, word));
    const by = operatorOf(at);
    const made = await owning(at, `erase "${word}"`, async ({ node }) => {
      const partly = at.flags.on("partly");
      return await eraseObject(node, treeOf(object.id), object.id, { by, reason, partly });
    });
    show(at, { ...made }, {
      name: String(made.count),
      lines: [`Erased ${several(made.count, "value")} of ${object.name}, ${made.bytes} bytes`],
    });
    return EXIT.ok;
  },
};
