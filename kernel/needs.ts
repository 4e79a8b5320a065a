/**
 * What the processes of a tree run on: programs and models, which not every node has.
 *
 * They are asked for beside the labels of a selector, in words that no label can be.
 * @module
 */

import type { NodeLabels } from "./fleet.ts";
import type { Pid } from "./ids.ts";
import type { State } from "./state.ts";

/** The program that every node has: the loop around a model. */
export const LOOP = "model-loop";
const YES = "yes";

/** The words for programs and models that a node has. */
export function offered(programs: Iterable<string>, models: Iterable<string>): NodeLabels {
  const words: Record<string, string> = {};
  for (const name of programs) if (name !== LOOP) words[wordFor("program", name)] = YES;
  for (const id of models) words[wordFor("model", id)] = YES;
  return words;
}

/** All that the node of a tree has to have; undefined: any node may have it. */
export function asked(state: State): NodeLabels | undefined {
  const words: Record<string, string> = {};
  let last = "";
  for (const pid in state.processes) {
    const { life, image } = state.processes[pid as Pid]!;
    if (life.state === "ended" || image === last) continue;
    last = image;
    const { program = LOOP, model = null } = state.images[image] ?? {};
    if (program !== LOOP) words[wordFor("program", program)] = YES;
    if (model !== null) words[wordFor("model", model)] = YES;
  }
  const all = { ...words, ...state.selector };
  return Object.keys(all).length === 0 ? undefined : all;
}

/** The labels among words, without what somebody runs on. */
export function labelsIn(words: NodeLabels): NodeLabels {
  return Object.fromEntries(Object.entries(words).filter(([key]) => !key.includes(":")));
}

/** What somebody runs on among words, without labels. */
export function needsIn(words: NodeLabels): NodeLabels {
  return Object.fromEntries(Object.entries(words).filter(([key]) => key.includes(":")));
}

/** A name as a key of JSON that any database takes. */
function wordFor(kind: "program" | "model", name: string): string {
  return `${kind}:${encodeURI(name.toWellFormed())}`;
}
