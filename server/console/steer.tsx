/**
 * Steering processes: what can be asked of one, or of several that are chosen.
 * @module
 */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { ProcessView } from "../schema/process.ts";
import { type ApiError, problemIn, send } from "./api.ts";
import { Confirm, type MenuItem } from "./dialog.tsx";
import { Claimed, Problem } from "./parts.tsx";
import { go, pathTo } from "./route.ts";

type Signal = "pause" | "resume" | "cancel" | "kill";

async function signal(pid: string, signal: Signal, reason = ""): Promise<void> {
  await send("POST", `/v1/processes/${pid}/signals`, { signal, reason });
}

/** Names the position where a process's tree is. */
export async function checkpoint(pid: string): Promise<void> {
  const name = `console ${new Date(Date.now()).toISOString().slice(0, 19)}`;
  await send("POST", `/v1/processes/${pid}/checkpoints`, { name });
}

/** What steering came to, and the question that is open before something ends. */
export interface Steering {
  readonly items: (process: ProcessView) => readonly MenuItem[];
  readonly each: (processes: readonly ProcessView[], does: Signal) => void;
  /** What there is to show: a question, what went wrong, what was done. */
  readonly shown: JSX.Element;
}

/** Lets a page steer processes. */
export function useSteering(): Steering {
  const [asked, ask] = useState<
    { readonly all: readonly ProcessView[]; readonly does: Signal } | null
  >(null);
  const [error, setError] = useState<ApiError | undefined>();
  const [said, say] = useState("");
  const run = (what: string, act: () => Promise<void>): void => {
    setError(undefined);
    act().then(() => say(what), (thrown) => setError(problemIn(thrown)));
  };
  const each = (all: readonly ProcessView[], does: Signal): void => {
    if (does === "kill" || does === "cancel") ask({ all, does });
    else run(`${DONE[does]} ${named(all)}`, () => signalAll(all, does, ""));
  };
  const items = (process: ProcessView): readonly MenuItem[] => [
    { name: "Open", act: () => go(pathTo.process(process.pid)) },
    ...isOver(process) ? [] : [
      isPaused(process)
        ? { name: "Resume", act: () => each([process], "resume") }
        : { name: "Pause", act: () => each([process], "pause") },
      {
        name: "Checkpoint",
        act: () => run(`Named where ${process.tree} is`, () => checkpoint(process.pid)),
      },
      { name: "Cancel…", act: () => each([process], "cancel"), isEnd: true },
      { name: "Kill…", act: () => each([process], "kill"), isEnd: true },
    ],
  ];
  const shown = (
    <>
      <p class="dim" role="status">{said}</p>
      {error !== undefined && <Problem error={error} />}
      {asked !== null && (
        <Confirm
          title={`${asked.does === "kill" ? "Kill" : "Cancel"} ${named(asked.all)}?`}
          verb={asked.does === "kill" ? "Kill" : "Cancel it"}
          close={() => ask(null)}
          act={async (reason) => {
            await signalAll(asked.all, asked.does, reason);
            say(`${DONE[asked.does]} ${named(asked.all)}`);
          }}
        >
          <Ends all={asked.all} does={asked.does} />
        </Confirm>
      )}
    </>
  );
  return { items, each, shown };
}

const DONE: Readonly<Record<Signal, string>> = {
  pause: "Paused",
  resume: "Resumed",
  cancel: "Canceled",
  kill: "Killed",
};

function Ends({ all, does }: {
  readonly all: readonly ProcessView[];
  readonly does: Signal;
}): JSX.Element {
  return (
    <>
      <p>
        {does === "kill"
          ? "It ends at once, and so does every process below it. It cannot be resumed."
          : "It is told to stop, and so is every process below it; it may tidy up first."}
      </p>
      <ul class="plain">
        {all.slice(0, 10).map(({ pid, goal }) => (
          <li key={pid}>
            <span class="id">{pid}</span> <Claimed text={goal} max={160} />
          </li>
        ))}
      </ul>
      {all.length > 10 && <p class="dim">and {all.length - 10} more</p>}
    </>
  );
}

function named(all: readonly ProcessView[]): string {
  return all.length === 1 ? all[0]!.pid : `${all.length} processes`;
}

/** Signals all of them; throws when some refused, saying which. */
async function signalAll(
  all: readonly ProcessView[],
  does: Signal,
  reason: string,
): Promise<void> {
  const chosen = new Set(all.map(({ pid }) => pid));
  // What is below one that is chosen hears of it from there.
  const tops = all.filter(({ parent }) => parent === null || !chosen.has(parent));
  const failed: ApiError[] = [];
  for (const { pid } of tops) {
    try {
      await signal(pid, does, reason);
    } catch (thrown) {
      failed.push(problemIn(thrown));
    }
  }
  if (failed.length > 0) throw failed[0]!;
}

/** Whether a process ended. */
export function isOver({ state }: ProcessView): boolean {
  return state === "ended";
}

/** Whether a process was paused by somebody. */
export function isPaused({ state, waiting }: ProcessView): boolean {
  return state === "paused" || waiting?.reason === "paused";
}
