/**
 * Apply, for people: requests, answers, and the rules that answers made.
 * @module
 */

import type { Handlers } from "./apply_memory.ts";
import { amendedText } from "./amend.ts";
import { assert } from "./errors.ts";
import type { State } from "./state.ts";
import { keep } from "./trail.ts";
import type { PersonAnswer } from "./world.ts";

/** What events of people do to state. */
export const PEOPLE = {
  "human.asked": ({ state }, data, line) => {
    const { pid, key, ...rest } = data;
    keep(state, "requests", data.id);
    state.requests[data.id] = {
      ...rest,
      pid,
      askers: [{ pid, key, under: data.call?.under ?? null }],
      createdMs: line.atMs,
      status: "pending",
      answer: null,
      by: null,
    };
    state.next.req += 1;
    if (data.kind === "permission" || data.kind === "review") countAsked(state, pid);
  },
  "human.joined": ({ state }, data) => {
    keep(state, "requests", data.id);
    state.requests[data.id]?.askers.push({ pid: data.pid, key: data.key, under: data.under });
    countAsked(state, data.pid);
  },
  "human.seconded": ({ state }, data) => {
    const request = state.requests[data.id];
    keep(state, "requests", data.id);
    if (request !== undefined) request.first = { by: data.by, answer: data.answer };
  },
  "human.answered": ({ state }, data) => {
    const request = state.requests[data.id];
    assert(request?.status === "pending", `Request "${data.id}" was answered twice`);
    keep(state, "requests", data.id);
    request.answer = data.answer;
    request.by = data.by;
    request.status = STATUS[data.answer.outcome];
    // A yes is a grant by now; a no is kept for who comes again.
    const isUsedUp = request.ahead === true && request.status !== "denied";
    if (request.kind === "notice" || isUsedUp) delete state.requests[data.id];
    if (data.answer.outcome !== "edit" || request.kind === "budget") return;
    const { args, note } = data.answer;
    const edited = { args, by: data.by, ...(note === undefined ? {} : { note }) };
    for (const { pid, key } of request.askers) {
      keep(state, "processes", pid);
      const { parked } = state.processes[pid]!;
      const on = parked[key];
      if (on !== undefined) parked[key] = { ...on, edited };
    }
  },
  "human.expired": ({ state }, data) => {
    const request = state.requests[data.id];
    if (request === undefined) return;
    keep(state, "requests", data.id);
    request.status = "expired";
    if (request.kind === "notice" || request.ahead === true) delete state.requests[data.id];
  },
  "human.escalated": ({ state }, data, line) => {
    const request = state.requests[data.id];
    keep(state, "requests", data.id);
    if (request !== undefined) request.escalatedMs = line.atMs;
  },
  "policy.amended": (tree, data) => {
    const { policy } = tree.state;
    // Since when it holds stays: no rule of it lives longer because another one came.
    tree.state.policy = { ...policy, text: amendedText(policy.text, data) };
    tree.reloadPolicy();
  },
} satisfies Partial<Handlers>;

const STATUS = {
  approve: "approved",
  edit: "approved",
  deny: "denied",
  answer: "answered",
} as const satisfies Record<PersonAnswer["outcome"], string>;

function countAsked(state: State, pid: keyof State["processes"]): void {
  keep(state, "processes", pid);
  state.processes[pid]!.calls.asked += 1;
}
