/**
 * What the security bench plays: which defences are on, and who makes the injected calls.
 * @module
 */

import type { Pair, Suite } from "./security_data.ts";
import type { Granting } from "./security_grants.ts";
import { deputies } from "./security_deputies.ts";
import { type Defences, Stage, type Way } from "./security_stage.ts";

const ALL: Granting = { tools: true, constraints: true, uses: true, words: true };
const NOTHING: Granting = { tools: false, constraints: false, uses: false, words: false };

/** Nothing: every tool of the suite, as often as wanted, and nobody is asked. */
export const NONE: Defences = { granting: NOTHING, labels: false, approval: "content" };
/** The grants of the data: tools, bounds on arguments, finite uses. */
export const LEAST: Defences = { ...NONE, granting: { ...ALL, words: false } };
/** The same, and what the user's own words fix. */
export const WORDS: Defences = { ...NONE, granting: ALL };
/** All: labels, and a person's yes that is for one call. */
export const FULL: Defences = { granting: ALL, labels: true, approval: "content" };

/** One line of the table. */
export interface Row {
  readonly name: string;
  readonly defences: Defences;
  readonly way: Way;
  /** What its numbers are held against: the row of this name, without the defence that is off. */
  readonly against?: string;
}

const without = (part: keyof Granting): Defences => ({
  ...FULL,
  granting: { ...ALL, [part]: false },
});

/** From nothing to all, one defence more at a time. */
export const LADDER: readonly Row[] = [
  { name: "nothing", defences: NONE, way: "process" },
  {
    name: "tools by name",
    defences: { ...NONE, granting: { ...NOTHING, tools: true } },
    way: "process",
  },
  {
    name: "and bounds on arguments",
    defences: { ...NONE, granting: { ...NOTHING, tools: true, constraints: true } },
    way: "process",
  },
  { name: "and finite uses: the grants of the data", defences: LEAST, way: "process" },
  { name: "and the user's words: least privilege", defences: WORDS, way: "process" },
  { name: "and labels, approvals bound to content: all", defences: FULL, way: "process" },
];

const ALL_ON = LADDER.at(-1)!.name;

/** All, less one. */
export const ABLATIONS: readonly Row[] = [
  {
    name: "no bounds on tools at all",
    defences: { ...FULL, granting: NOTHING },
    way: "process",
    against: ALL_ON,
  },
  {
    name: "no bounds on arguments",
    defences: { ...FULL, granting: { ...NOTHING, tools: true, uses: true } },
    way: "process",
    against: ALL_ON,
  },
  { name: "no finite uses", defences: without("uses"), way: "process", against: ALL_ON },
  { name: "no words of the user", defences: without("words"), way: "process", against: ALL_ON },
  { name: "no labels", defences: WORDS, way: "process", against: ALL_ON },
  {
    name: "no labels, no finite uses",
    defences: { ...NONE, granting: { ...ALL, uses: false } },
    way: "process",
    against: "no labels",
  },
  {
    name: "no labels, no words of the user",
    defences: LEAST,
    way: "process",
    against: "no labels",
  },
  {
    name: "no labels, no bounds on arguments",
    defences: { ...NONE, granting: { ...NOTHING, tools: true, uses: true } },
    way: "process",
    against: "no labels",
  },
  {
    name: "a yes is for the tool",
    defences: { ...FULL, approval: "tool" },
    way: "process",
    against: ALL_ON,
  },
  {
    name: "a yes is for the tool, and no finite uses or words",
    defences: {
      ...LEAST,
      labels: true,
      approval: "tool",
      granting: { ...ALL, uses: false, words: false },
    },
    way: "process",
    against: ALL_ON,
  },
  {
    name: "a person who says yes to anything",
    defences: { ...FULL, approval: "anything" },
    way: "process",
    against: ALL_ON,
  },
  {
    name: "no person",
    defences: { ...FULL, approval: "nobody" },
    way: "process",
    against: ALL_ON,
  },
];

const CHILD = "a child, handed all that can be";
const TOOL = "a generated tool that declares all";

/** Who else may make the injected calls. */
export const WAYS: readonly Row[] = [
  { name: CHILD, defences: WORDS, way: "child" },
  { name: `${CHILD}; all on`, defences: FULL, way: "child" },
  { name: "a child that is handed nothing", defences: NONE, way: "reader" },
  {
    name: "the same, handed what its parent has",
    defences: NONE,
    way: "child",
    against: "a child that is handed nothing",
  },
  { name: "a checkpoint, gone back to when the task was done", defences: WORDS, way: "restored" },
  { name: "the same; all on", defences: FULL, way: "restored" },
  {
    name: "the same, with its grants given again",
    defences: { ...WORDS, regrants: true },
    way: "restored",
    against: "a checkpoint, gone back to when the task was done",
  },
  { name: "a checkpoint from before all was revoked", defences: NONE, way: "revoked" },
  {
    name: "the same, with its grants given again",
    defences: { ...NONE, regrants: true },
    way: "revoked",
    against: "a checkpoint from before all was revoked",
  },
  { name: "a branch of the checkpoint", defences: WORDS, way: "branched" },
];

/** Those that start a cage for each pair, which takes its time. */
export const CAGED: readonly Row[] = [
  { name: TOOL, defences: WORDS, way: "tool" },
  { name: `${TOOL}; all on`, defences: FULL, way: "tool" },
  { name: "a generated tool that declares no tool", defences: NONE, way: "undeclared" },
  {
    name: "the same, declaring all",
    defences: NONE,
    way: "tool",
    against: "a generated tool that declares no tool",
  },
];

/** What a row came to. */
export interface Tally {
  /** Calls of tasks played alone, those refused, and what their user was asked. */
  readonly calls: number;
  readonly denied: number;
  readonly askedByTasks: number;
  /** Attacks, those of which an effect reached its tool, and those that came before a person. */
  readonly pairs: number;
  readonly through: readonly string[];
  /** Effects of attacks that reached their tool; an attack tries again and again. */
  readonly effects: number;
  readonly asking: number;
  /** Attacked tasks that were done all the same. */
  readonly finished: number;
}

/** A runtime is for so many plays: what it keeps of ended trees is not what is measured. */
const PLAYS_MAX = 24;

/** Which pairs are played: every n-th from the first, and those that are named. */
export interface Sample {
  readonly every: number;
  readonly also?: readonly string[];
  /** Whether the tasks are played alone, too. */
  readonly tasks: boolean;
}

/** All there is. */
export const WHOLE: Sample = { every: 1, tasks: true };

/** Names a pair. */
export function pairName(suite: Suite, { task, attack }: Pair): string {
  return `${suite.name} ${task.id} ${attack}`;
}

/** Plays a row over suites. */
export async function play(
  suites: readonly Suite[],
  { defences, way }: Row,
  { every, also = [], tasks }: Sample = WHOLE,
): Promise<Tally> {
  const tally = {
    calls: 0,
    denied: 0,
    askedByTasks: 0,
    pairs: 0,
    effects: 0,
    asking: 0,
    finished: 0,
  };
  const through: string[] = [];
  for (const suite of suites) {
    const tools = way === "tool" || way === "undeclared" ? await deputies(suite) : [];
    for (const some of parts(tasks ? suite.tasks : [])) {
      await using stage = await Stage.open(suite, defences);
      for (const task of some) {
        const { done, denied, asked } = await stage.playTask(task);
        tally.calls += done;
        tally.denied += denied;
        tally.askedByTasks += asked.plan;
      }
    }
    const isPlayed = (pair: Pair, i: number): boolean =>
      i % every === 0 || also.includes(pairName(suite, pair));
    for (const some of parts(suite.pairs.filter(isPlayed))) {
      await using stage = await Stage.open(suite, defences, tools);
      for (const pair of some) {
        const { denied, reached, asked } = await stage.playPair(pair, way);
        tally.pairs += 1;
        tally.effects += reached;
        if (reached > 0) through.push(pairName(suite, pair));
        if (asked.attack > 0) tally.asking += 1;
        if (denied === 0) tally.finished += 1;
      }
    }
  }
  return { ...tally, through };
}

function parts<T>(all: readonly T[]): readonly (readonly T[])[] {
  const count = Math.ceil(all.length / PLAYS_MAX);
  return Array.from({ length: count }, (_, i) => all.slice(i * PLAYS_MAX, (i + 1) * PLAYS_MAX));
}
