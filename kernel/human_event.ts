/**
 * Events of people: what was put before them, and what they said.
 * @module
 */

import type { CapId, Pid, RequestId } from "./ids.ts";
import type { Json, JsonObject } from "./json.ts";
import type { PersonAnswer } from "./world.ts";

/** What a request wants: a word on a call or a tool, an answer, a reader, more to spend. */
export type RequestKind = "permission" | "question" | "notice" | "review" | "budget" | "doubt";

/** A version of a generated tool in which something was asked. */
export interface AskingTool {
  /** Its name in the table of the process that asks. */
  readonly name: string;
  /** The version that asks. */
  readonly hash: string;
}

/** The call a permission request is about. */
export interface RequestCall {
  /** Name of the call; of a right, where that was asked for. */
  readonly name: string;
  /** The right which a grant will be for. */
  readonly right: string;
  /** The resource which a grant will be for. */
  readonly resource: string;
  /** The arguments that are shown. */
  readonly args: Json;
  /** Hash of name and arguments, by which a grant "once" is bound to this call. */
  readonly argsHash: string;
  /** The capability that would cover it; a grant is derived from it. */
  readonly under: CapId | null;
}

/** The rule that says ask. */
export interface RequestRule {
  /** `ask file.write(./out/**)`. */
  readonly text: string;
  /** "policy" for the tree's, else the process that was started with it. */
  readonly source: "policy" | Pid;
  /** Set when it is a sink: only exactly what was shown can be released. */
  readonly sink?: true;
}

/** What can happen between a tree and people. */
export interface HumanEvents {
  /** Something was put before people. */
  "human.asked": {
    readonly id: RequestId;
    readonly kind: RequestKind;
    readonly pid: Pid;
    readonly key: string;
    /** Whom the asker named; absent where the kernel asks, whoever is there. */
    readonly who?: string;
    /** The generated tool in which it was asked; absent for other code. */
    readonly tool?: AskingTool;
    readonly prompt: string;
    readonly call: RequestCall | null;
    readonly schema: JsonObject | null;
    readonly choices: readonly string[];
    readonly risk: "low" | "medium" | "high" | "destructive";
    readonly preview: string | null;
    readonly expiresMs: number | null;
    /** The rule that says ask; absent where none does. */
    readonly rule?: RequestRule;
    /** How many people have to agree; absent: one. */
    readonly people?: number;
    /** Nobody waits for the answer: who asks comes again. */
    readonly ahead?: true;
    /** When somebody else is to hear of it; absent: never. */
    readonly escalatesMs?: number;
  };
  /** Another call waits for the answer to the same request. */
  "human.joined": {
    readonly id: RequestId;
    readonly pid: Pid;
    readonly key: string;
    /** The capability of this asker that would cover the call. */
    readonly under: CapId | null;
  };
  /** One person agreed where it takes two; nothing is granted yet. */
  "human.seconded": {
    readonly id: RequestId;
    readonly answer: PersonAnswer;
    readonly by: string;
    readonly inbox: string | null;
  };
  /** A person answered; what was granted follows in the same commit. */
  "human.answered": {
    readonly id: RequestId;
    readonly answer: PersonAnswer;
    readonly by: string;
    readonly inbox: string | null;
  };
  /** Nobody answered in time, which means no. */
  "human.expired": { readonly id: RequestId };
  /** Nobody answered for long: whoever listens may call somebody else. */
  "human.escalated": { readonly id: RequestId };
  /** An answer put a rule into the policy; the others stand as long as before. */
  "policy.amended": {
    /** The rule as a line of the policy's text. */
    readonly rule: string;
    /** The line of the text that it takes the place of, from 1; null: it is added at the end. */
    readonly replaces: number | null;
    readonly by: string;
    readonly request: RequestId;
  };
}
