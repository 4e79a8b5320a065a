/**
 * What is done to the nodes of a chaos run, their lines and their database: from a seed, for a
 * given time.
 * @module
 */

import { realClock } from "../../providers/clock.ts";
import type { SeededRandom } from "../../testing.ts";
import type { Server } from "../postgres_place.ts";
import type { Member } from "./member.ts";

/** Kinds of faults, and how likely each is against the others. */
const WEIGHTS = { kill: 5, pause: 4, cut: 4, hold: 4, part: 3, restart: 1, jump: 3 } as const;
/** One kind of fault. */
export type Fault = keyof typeof WEIGHTS;

/** What faults are done to. */
export interface Target {
  readonly members: readonly Member[];
  readonly server: Server;
  readonly leaseMs: number;
  readonly random: SeededRandom;
  /** Between two faults, in milliseconds, at most. */
  readonly gapMs: number;
}

/** How often each fault was done. */
export type Tally = Record<Fault, number>;

function picked({ random, server }: Target): Fault {
  const bag = (Object.keys(WEIGHTS) as Fault[])
    .filter((fault) => fault !== "restart" || server.data !== null)
    .flatMap((fault) => Array.from({ length: WEIGHTS[fault] }, () => fault));
  return bag[random.below(bag.length)]!;
}

/** Jumps of a clock, in milliseconds: some forwards, some back. */
const JUMPS = [3_600_000, -3_600_000, 90_000, -90_000, 5_000, -5_000];

/** Does one fault, and undoes it; resolves when it is over. */
async function inflict(fault: Fault, target: Target, signal: AbortSignal): Promise<void> {
  const { members, server, leaseMs, random } = target;
  const member = members[random.below(members.length)]!;
  const [short, long] = [random.below(leaseMs), leaseMs + random.below(leaseMs)];
  const wait = (ms: number): Promise<void> => realClock.sleep(ms, signal).catch(() => {});
  switch (fault) {
    case "kill":
      await member.kill();
      await wait(short);
      return await member.start();
    case "pause":
      member.stop();
      await wait(long);
      return member.go();
    case "cut":
      return member.line.cut();
    case "hold":
      member.line.hold();
      await wait(long);
      return member.line.flow();
    case "part":
      member.line.isDown = true;
      member.line.cut();
      await wait(long);
      member.line.isDown = false;
      return;
    case "restart":
      await server.kill();
      return await server.start();
    case "jump": {
      // One node has a clock that nobody can rely on.
      const ms = JUMPS[random.below(JUMPS.length)]!;
      const heard = members[0]!.ask({ do: "jump", ms });
      return void await Promise.race([heard, wait(leaseMs)]);
    }
  }
}

/** Does faults until it is told that it is enough; then all of them are undone. */
export async function torment(target: Target, signal: AbortSignal): Promise<Tally> {
  const tally: Tally = { kill: 0, pause: 0, cut: 0, hold: 0, part: 0, restart: 0, jump: 0 };
  const under = new Map<Fault, Promise<void>>();
  const over = new AbortController();
  const failed = over.signal;
  while (!signal.aborted && !failed.aborted) {
    const fault = picked(target);
    // One of a kind at a time: a node that is being killed is not killed again.
    if (!under.has(fault)) {
      tally[fault] += 1;
      const done = inflict(fault, target, signal).catch((error) => over.abort(error));
      under.set(fault, done.finally(() => under.delete(fault)));
    }
    await realClock.sleep(target.random.below(target.gapMs), signal).catch(() => {});
  }
  await Promise.all(under.values());
  failed.throwIfAborted();
  for (const member of target.members) {
    member.line.isDown = false;
    member.line.flow();
    member.go();
    if (!member.isAlive) await member.start();
  }
  return tally;
}
