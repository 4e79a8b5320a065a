/**
 * Edits: a call with arguments that a person put in the place of its asker's.
 *
 * Invariants:
 *   E1. The arguments are read by the call's own schema, and the call is judged as the asker's own,
 *       before the answer is written down; when it is made, it is judged once more.
 *   E2. It needs the right that was asked for, on something that the capability covers under which
 *       was asked: an edit never opens what the request could not have been granted.
 * @module
 */

import { authorize, ceilingAllows, WITHIN } from "../kernel/capability.ts";
import { coveredBy } from "../kernel/chain.ts";
import type { EditJudge } from "../kernel/answer.ts";
import type { Draft } from "../kernel/draft.ts";
import { SysError } from "../kernel/errors.ts";
import type { CapId } from "../kernel/ids.ts";
import type { Json } from "../kernel/json.ts";
import { sinkReason, sinkText } from "../kernel/sink.ts";
import type { Process } from "../kernel/state.ts";
import { askedHash, releaseHash, ruleFor, ruleText, sinkFor } from "./authorize.ts";
import { riskOfCall, worse } from "./ask.ts";
import { decode } from "./call.ts";
import type { AnySyscall, Need, World } from "./syscall.ts";

/** Judges edits over a table of calls. */
export function editJudge(door: {
  readonly world: World;
  lookUp(name: string): AnySyscall;
}): EditJudge {
  return (draft, { request, asker, args: given }) => {
    const { name, right } = request.call!;
    const def = door.lookUp(name);
    if (request.ahead === true) {
      const sentence = `Cannot answer request "${request.id}": a program asks, and asks the same`;
      throw new SysError("EINVAL", `${sentence} again, expected a yes or a no`);
    }
    const args = decode(def, name, given);
    const { tree } = draft;
    const process = tree.state.processes[asker.pid]!;
    const { cwd } = process;
    const needs = def.needs(args, { tree, process, cwd, world: door.world });
    if (!needs.some((need) => need.right === right)) {
      const sentence = `Cannot answer request "${request.id}": with these arguments "${name}"`;
      throw new SysError("EINVAL", `${sentence} does not need ${right}, which was asked for`);
    }
    const grants: { right: string; resource: string; argsHash: string }[] = [];
    let people = 1;
    for (const need of needs) {
      const at = { def, name, args, process, need, request: request.id };
      const under = need.right === right ? asker.under : null;
      const asks = judgeNeed(draft, { ...at, under });
      people = Math.max(people, asks.people);
      if (asks.people === 0 || need.right !== right) continue;
      const { resource } = need;
      // What is not in the arguments nobody has seen: where such is sent, it is asked about again.
      const argsHash = asks.sink
        ? releaseHash({ name, args, label: process.label }, need)
        : askedHash({ name, args }, need.binds);
      grants.push({ right, resource, argsHash });
    }
    return { args, grants, people };
  };
}

/** Whom a need of an edited call takes, and whether a sink says so; throws what refuses it (E2). */
function judgeNeed(draft: Draft, at: {
  readonly def: AnySyscall;
  readonly name: string;
  readonly args: Json;
  readonly process: Process;
  readonly need: Need;
  readonly request: string;
  readonly under: CapId | null;
}): { readonly people: number; readonly sink: boolean } {
  const { tree, nowMs } = draft;
  const { name, args, process, need } = at;
  const what = `${need.right}(${need.resource})`;
  const refused = `Cannot answer request "${at.request}": an edit to ${what}`;
  const lineage = tree.lineage(process.pid);
  const query = {
    lineage: tree.reach(process.pid),
    right: need.right,
    resource: need.resource,
    args: need.args ?? args,
    argsHash: () => askedHash({ name, args }, need.binds),
    nowMs,
    needsGrant: false,
    call: need.args === undefined ? name : need.right,
    image: process.image,
    ...(need.bytes === undefined ? {} : { bytes: need.bytes }),
  } as const;
  const why = at.under !== null
    ? coveredBy(tree.caps, at.under, query)
    : authorize(tree.caps, query).ok
    ? null
    : `no capability of "${process.pid}" covers it`;
  if (why !== null) {
    throw new SysError("EPERM", `${refused} is wider than what was asked under: ${why}`);
  }
  const rule = ruleFor(tree, lineage, { need, nowMs, label: process.label });
  if (rule?.effect === "deny") {
    throw new SysError("EACCES", `${refused} is refused by rule "${ruleText(rule)}"`, {
      rule: ruleText(rule),
    });
  }
  const sink = sinkFor(tree, lineage, { need, label: process.label });
  if (sink?.otherwise === "deny") {
    const sentence = `${refused} is refused: ${sinkReason(sink, process.label)}`;
    throw new SysError("EACCES", sentence, { rule: sinkText(sink) });
  }
  if (rule?.effect !== "ask" && need.ask === undefined && sink === undefined) {
    return { people: 0, sink: false };
  }
  if (!ceilingAllows(tree.state.ceiling, need)) {
    throw new SysError("EPERM", `${refused} is over the tree's ceiling, ${WITHIN}`);
  }
  const ruled = worse(rule?.risk ?? "low", sink?.risk ?? "low");
  const risk = worse(worse(ruled, need.risk ?? "low"), riskOfCall(at.def, args));
  const { destructiveApprovers = 1 } = tree.context;
  const people = Math.max(rule?.people ?? 1, risk === "destructive" ? destructiveApprovers : 1);
  return { people, sink: sink !== undefined };
}
