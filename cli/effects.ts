/**
 * What was done outside: `effects`, as the log has it.
 * @module
 */

import { treeNumber } from "../kernel/ids.ts";
import type { Store } from "../kernel/store.ts";
import { type EffectRow, effectsOfTree } from "../runtime/effects.ts";
import type { Client, SentEffect } from "../server/client.ts";
import { sentView } from "../server/view/event.ts";
import type { Command, Context } from "./command.ts";
import { EXIT } from "./exit.ts";
import { list } from "./output.ts";
import { findProcess, findTree, headsOf, reading } from "./store.ts";
import { systemOf } from "./system.ts";
import { treesThere } from "./system_there.ts";
import { dateOf, short } from "./words.ts";

/** `effects`. */
export const effects: Command = {
  name: "effects",
  group: "evidence",
  usage: "[PID|TREE] [--open]",
  about: "List what was done outside and how it came out; --open: what nobody knows the end of",
  examples: ["libos effects p_1", "libos effects --open -o json"],
  options: { open: { type: "boolean" } },
  words: [0, 1],
  remote: "same",
  async run(at) {
    const [word] = at.words;
    const isOpen = at.flags.on("open");
    const { client } = at;
    const rows = client === null
      ? (await reading(at, async (store) => await effectsOf(store, word))).map(sentView)
      : await effectsThere(at, client, word);
    list(at, rows.filter(({ state }) => !isOpen || state === "in doubt"), {
      columns: [
        { head: "LINE", of: ({ seq }) => `#${seq}` },
        { head: "CALL", of: ({ call }) => call },
        { head: "WHAT", of: ({ what }) => short(what, 60) },
        { head: "STATE", of: ({ state }) => state },
        { head: "OUTCOME", of: ({ outcome }) => outcome === null ? "-" : `#${outcome}` },
        { head: "AT", wide: true, of: ({ at: when }) => dateOf(Date.parse(when)) },
        { head: "VIA", wide: true, of: ({ via }) => via ?? "-" },
        { head: "WHY", of: ({ why }) => short(why, 80) },
      ],
      name: ({ call }) => call,
      none: isOpen ? "No effect is in doubt" : "No effects",
    });
    return EXIT.ok;
  },
};

async function effectsThere(
  at: Context,
  client: Client,
  word: string | undefined,
): Promise<SentEffect[]> {
  const pid = word?.startsWith("p_") === true ? (await systemOf(at).process(word)).pid : undefined;
  const rows: SentEffect[] = [];
  for (const tree of await treesThere(client, pid ?? word)) {
    const all = client.all<SentEffect>(`/v1/trees/${tree}/effects`, { pid, limit: 500 });
    for await (const row of all) rows.push(row);
  }
  return rows;
}

async function effectsOf(store: Store, word: string | undefined): Promise<EffectRow[]> {
  if (word === undefined) {
    const rows: EffectRow[] = [];
    for (const { tree } of await headsOf(store, true)) {
      rows.push(...await effectsOfTree(store, tree, null));
    }
    return rows;
  }
  if (/^t_/.test(word)) return await effectsOfTree(store, await findTree(store, word), null);
  const { tree: { state }, process: { pid } } = await findProcess(store, word);
  return await effectsOfTree(store, state.tree, pid === `p_${treeNumber(state.tree)}` ? null : pid);
}
