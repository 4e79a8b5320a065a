/**
 * Orders to trees, whether a kernel runs on the store or not.
 *
 * Where none runs, this process is the kernel for a moment: it takes the order and lets no process
 * take a step. Where one runs, the order is put into the tree's durable inbox, and its outcome is
 * read from the log.
 * @module
 */

import { type Errno, SysError } from "../kernel/errors.ts";
import type { EventMap, Line } from "../kernel/event.ts";
import type { TreeId } from "../kernel/ids.ts";
import { copiedOrder, type Order, orderItem } from "../kernel/inbox.ts";
import type { Store } from "../kernel/store.ts";
import { realClock } from "../providers/clock.ts";
import { realRandom } from "../providers/random.ts";
import { headOf, readLines } from "../runtime/load.ts";
import { createRuntime } from "../runtime/create.ts";
import type { Context } from "./command.ts";
import { isDatabase, momentary, openStore, reading, storeOf, workspaceOf } from "./store.ts";
import { encryptionFor } from "./store_key.ts";

const POLL_MS = 25;
const POLLS_UNTIL_LATE = 20;
const WAIT_MS_MAX = 10_000;

/** What became of an order that was taken. */
export interface Taken {
  /** The lines that were written since, oldest first. */
  readonly lines: readonly Line[];
  /** Whether a kernel runs on the store, so that processes go on by themselves. */
  readonly isRunning: boolean;
}

/** Who gives orders here, as the log says it. */
export function operatorOf({ io }: Context): string {
  return io.env("LIBOS_OPERATOR") ?? io.env("USER") ?? io.env("USERNAME") ?? "operator";
}

/** Gives an order and waits until it has had its effect. Throws what refuses it. */
export async function give(at: Context, tree: TreeId, order: Order): Promise<Taken> {
  const from = await reading(at, async (store) => (await headOf(store, tree)).seq + 1);
  const untilMs = realClock.now() + WAIT_MS_MAX;
  const id = `cli:${realClock.now()}:${realRandom.bytes(8).toHex()}`;
  // Who has a tree of a database is another node as a rule, and what is put twice is done twice.
  if (!isDatabase(at)) {
    try {
      return { lines: await giveHere(at, { tree, from, order }), isRunning: false };
    } catch (error) {
      if (!isOwned(error)) throw error;
    }
  }
  const store = await openStore(at, "join");
  try {
    await store.putInbox(tree, orderItem(id, copiedOrder(order)));
    for (let polls = 1; realClock.now() < untilMs; polls++) {
      const lines = await linesSince(store, tree, from);
      if (outcomeOf(lines, id)) return { lines, isRunning: true };
      const late = polls % POLLS_UNTIL_LATE === 0 ? await takeLate(at, { tree, from, id }) : null;
      if (late !== null) return { lines: late, isRunning: false };
      await realClock.sleep(POLL_MS);
    }
  } finally {
    await store.close();
  }
  const state = "it stays in the inbox, expected a kernel that takes it";
  throw new SysError("ETIMEDOUT", `Cannot hear of the order in ${WAIT_MS_MAX} ms: ${state}`);
}

/** Whether the failure is that another kernel has the store. */
function isOwned(error: unknown): boolean {
  return error instanceof SysError && error.code === "EFENCED";
}

/** As the kernel of the store: no step is run, since there is room for none. */
async function giveHere(at: Context, given: {
  readonly tree: TreeId;
  readonly from: number;
  readonly order: Order;
}): Promise<Line[]> {
  const runtime = await stillRuntime(at);
  try {
    await runtime.order(given.tree, given.order);
    return await linesSince(runtime.node.options.store, given.tree, given.from);
  } finally {
    await runtime.close();
  }
}

/** Takes what is in the inbox, if the kernel that was asked has gone meanwhile; else null. */
async function takeLate(at: Context, given: {
  readonly tree: TreeId;
  readonly from: number;
  readonly id: string;
}): Promise<Line[] | null> {
  try {
    const runtime = await stillRuntime(at);
    try {
      await runtime.node.open(given.tree);
      await runtime.node.pump();
      const lines = await linesSince(runtime.node.options.store, given.tree, given.from);
      return outcomeOf(lines, given.id) ? lines : null;
    } finally {
      await runtime.close();
    }
  } catch (error) {
    if (isOwned(error)) return null;
    throw error;
  }
}

/** A runtime that runs nothing. */
function stillRuntime(at: Context): ReturnType<typeof createRuntime> {
  return createRuntime({
    store: storeOf(at),
    ...momentary(at),
    ...encryptionFor(at),
    workspace: workspaceOf(at),
    approvals: "queue",
    autorun: false,
    concurrency: 0,
    operator: operatorOf(at),
  });
}

async function linesSince(store: Store, tree: TreeId, from: number): Promise<Line[]> {
  return await Array.fromAsync(readLines(store, tree, from));
}

/** Whether the log says what became of an order; throws when it was refused. */
function outcomeOf(lines: readonly Line[], id: string): boolean {
  for (const { type, data } of lines) {
    if (type === "inbox.taken" && (data as EventMap["inbox.taken"]).inbox === id) return true;
    if (type !== "inbox.refused") continue;
    const { inbox, code, message } = data as EventMap["inbox.refused"];
    if (inbox === id) throw new SysError(code as Errno, message);
  }
  return false;
}
