/**
 * Branching: a tree of its own that begins where another was.
 *
 * Invariants:
 *   B1. No authority that could be used twice goes along: no finite use, no grant of a person.
 *   B2. No effect of the other tree is settled, repeated or waited for by the new one.
 *   B3. What waited waits anew, by making its call again.
 * @module
 */

import { checkLimits } from "./budget.ts";
import type { BudgetLimits, ImageData, Message } from "./event.ts";
import { SysError } from "./errors.ts";
import type { CapId, MessageId, Pid, TreeId } from "./ids.ts";
import { hashOf, type Json } from "./json.ts";
import { type Label, PERSON, SENSITIVITIES, TRUSTS } from "./label.ts";
import { LIMITS } from "./limits.ts";
import { loosened, owned, type Process, type State } from "./state.ts";
import { near } from "./suggest.ts";

/** What is different in the new tree. */
export interface BranchEdits {
  /** What the root is to do, from its next step on. */
  readonly goal?: string;
  /** `provider/model` for the root, from its next step on; it has to be one the root may use. */
  readonly model?: string;
  /** Limits of the root. Absent ones stay. */
  readonly budget?: BudgetLimits;
  /** Policy text in place of the tree's. */
  readonly policy?: string;
  /** What a person says to the root first. */
  readonly message?: string;
  /** Who says it, and what they had seen; a person of whom nothing is known when absent. */
  readonly sender?: { readonly from: string; readonly label: Label };
}

const EDITS: { readonly [K in keyof Required<BranchEdits>]: "a string" | "an object" } = {
  goal: "a string",
  model: "a string",
  budget: "an object",
  policy: "a string",
  message: "a string",
  sender: "an object",
};

/** Refuses edits that nobody could mean with `EINVAL`; a policy is read where rights are known. */
export function checkEdits(edits: BranchEdits): void {
  if (typeof edits !== "object" || edits === null || Array.isArray(edits)) {
    throw new SysError("EINVAL", "Cannot fork with these edits: no object, expected one");
  }
  for (const [name, value] of Object.entries(edits)) {
    if (!Object.hasOwn(EDITS, name)) {
      const known = Object.keys(EDITS).filter((one) => one !== "sender");
      const expected = `expected one of ${known.join(", ")}${near(name, known)}`;
      throw new SysError("EINVAL", `Cannot fork with another "${name}": unknown, ${expected}`);
    }
    const type = EDITS[name as keyof BranchEdits];
    if (value === undefined || type.endsWith(` ${typeof value}`)) continue;
    throw new SysError("EINVAL", `Cannot fork with another ${name}: expected ${type}`);
  }
  const { budget, model, goal = "", message = "", sender } = edits;
  checkLengths({ goal, message });
  if (sender !== undefined) checkSender(sender);
  if (budget !== undefined) checkLimits(budget);
  if (model !== undefined && !/^[^\s/]+\/\S/.test(model)) {
    const expected = 'expected "provider/model"';
    throw new SysError("EINVAL", `Cannot fork with model "${model}": ${expected}`);
  }
}

function checkLengths(
  { goal, message }: { readonly goal: string; readonly message: string },
): void {
  refuseLonger("goal", goal, "goalBytesMax");
  refuseLonger("message", message, "messageBytesMax");
}

function refuseLonger(what: string, text: string, limit: "goalBytesMax" | "messageBytesMax"): void {
  if (text.length <= LIMITS[limit]) return;
  const sentence = `Cannot fork with a ${what} of ${text.length} characters`;
  throw new SysError("ELIMIT", `${sentence}: expected at most ${LIMITS[limit]}`, { limit });
}

function checkSender({ from, label }: NonNullable<BranchEdits["sender"]>): void {
  const { sensitivity, trust } = Object(label) as Label;
  const isLabel = SENSITIVITIES.includes(sensitivity) && TRUSTS.includes(trust);
  if (typeof from === "string" && from !== "" && isLabel) return;
  const expected = "expected whose words they are, and a label with sensitivity and trust";
  throw new SysError("EINVAL", `Cannot fork with a message from "${from}": ${expected}`);
}

/** A state as a new tree may begin with it; it shares with `given` what is the same there. */
export function branched(given: State, root: Pid, edits: BranchEdits): State {
  const state = loosened(given);
  for (const [id, cap] of Object.entries(state.caps)) {
    if (cap.usesMax !== null || cap.grant !== null) delete state.caps[id as CapId];
  }
  for (let gone = true; gone;) {
    gone = false;
    for (const [id, { parent }] of Object.entries(state.caps)) {
      if (parent === null || Object.hasOwn(state.caps, parent)) continue;
      delete state.caps[id as CapId];
      gone = true;
    }
  }
  state.requests = {};
  state.checkpoints = {};
  for (const { pid, mode, life } of Object.values(given.processes)) {
    if (mode !== "detached" || life.state === "ended") continue;
    // B2: it is the other tree's child, which waits for it there.
    const reason = "it is another tree's child";
    const outcome = { kind: "killed", by: "kernel", reason } as const;
    owned(state, given, pid).life = { state: "ended", outcome, atMs: given.atMs };
  }
  for (const pid in state.processes) {
    settle(state.processes[pid as Pid]!, () => {
      return owned(state, given, pid as Pid);
    });
  }
  if (state.processes[root] !== undefined) owned(state, given, root);
  edit(state, root, edits);
  return state;
}

/** B2, B3. */
function settle({ life, journal, parked }: Process, own: () => Process): void {
  for (const _ in parked) {
    own().parked = {};
    break;
  }
  if (life.state === "waiting" && life.on.reason !== "paused") own().life = { state: "ready" };
  if (life.state === "waiting" && life.on.reason === "paused") {
    own().life = { ...life, on: { ...life.on, was: null } };
  }
  for (const key in journal) {
    const recorded = journal[key]!;
    if (recorded.state !== "open") continue;
    const { intent, ...made } = recorded;
    const message = `Cannot tell how "${made.name}" came out: it was another tree's`;
    const result = { ok: false, code: "EINDOUBT", message } as const;
    own().journal[key] = { ...made, state: "done", result, seq: intent.seq, atMs: 0 };
  }
}

function edit(state: State, pid: Pid, edits: BranchEdits): void {
  const root = livingRoot(state.tree, state.processes[pid]);
  const { goal = root.goal, model, budget, policy, message } = edits;
  if (message !== undefined) say(state, pid, message, edits.sender ?? OPERATOR);
  if (budget !== undefined) root.limits = { ...root.limits, ...budget };
  if (policy !== undefined) state.policy = { ...state.policy, text: policy };
  const image = model === undefined ? root.image : withModel(state, root.image, model);
  if (Object.keys(root.journal).length > 0) root.upcoming = { goal, image };
  else Object.assign(root, { goal, image });
}

/** The root of a tree, or `ESTATE`: what has ended does not begin anew. */
export function livingRoot(tree: TreeId, root: Process | undefined): Process {
  if (root !== undefined && root.life.state !== "ended") return root;
  throw new SysError("ESTATE", `Cannot fork "${tree}": its root does not live there`);
}

/** An image that differs from another in its model. */
function withModel(state: State, from: string, model: string): string {
  const { hash: _, ...data } = state.images[from]!;
  const image: Omit<ImageData, "hash"> = { ...data, model };
  const hash = hashOf(image as unknown as Json);
  state.images[hash] = { ...image, hash };
  return hash;
}

const OPERATOR = { from: "person:operator", label: PERSON } as const;

function say(
  state: State,
  to: Pid,
  data: string,
  { from, label }: NonNullable<BranchEdits["sender"]>,
): void {
  const id: MessageId = `msg_${to.slice(2)}.${state.next.msg}`;
  state.next.msg += 1;
  const message: Message = {
    id,
    from,
    to,
    type: "message",
    data,
    replyTo: null,
    interrupt: false,
    atMs: state.atMs,
    label: { ...label },
  };
  state.mail[to] = [...state.mail[to] ?? [], message];
}
