/**
 * Evidence: `audit` lists what was decided, seals it and proves it; `verify` checks that nobody
 * changed it.
 * @module
 */

import { initAudit, keysOf, rotateKey, sealNow } from "./audit_seal.ts";
import { verifyAny } from "./audit_check.ts";
import { exportRecords, proveLine } from "./audit_proof.ts";
import { listDecisions } from "./audit_list.ts";
import type { Command, Context } from "./command.ts";
import { auditThere, verifyThere } from "./evidence_there.ts";
import { UsageError } from "./exit.ts";

/** What each verb does, and the fewest and the most words after it. */
const VERBS: {
  readonly [verb: string]: {
    readonly usage: string;
    readonly words: readonly [number, number];
    run(at: Context, word: string): Promise<number>;
  };
} = {
  ls: { usage: "ls [TREE] [--pid P] [--decision D]", words: [0, 1], run: listDecisions },
  init: { usage: "init", words: [0, 0], run: initAudit },
  seal: { usage: "seal", words: [0, 0], run: sealNow },
  prove: { usage: "prove EVENT | prove --since SIZE", words: [0, 1], run: proveLine },
  verify: { usage: "verify [TREE|FILE] [--trust K] [--head H]", words: [0, 1], run: verifyAny },
  export: { usage: "export [TREE] [--format F]", words: [0, 1], run: exportRecords },
  keys: { usage: "keys", words: [0, 0], run: keysOf },
  rotate: { usage: "rotate", words: [0, 0], run: rotateKey },
};

const CHECK_OPTIONS = {
  trust: { type: "string", multiple: true },
  head: { type: "string", multiple: true },
  anchor: { type: "string" },
  "key-file": { type: "string" },
} as const;

/** `audit`. */
export const audit: Command = {
  name: "audit",
  group: "evidence",
  usage: Object.values(VERBS).map(({ usage }) => usage).join(" | "),
  about: "List every decision and who made it; seal the log, prove lines, check and hand it out",
  examples: [
    "libos audit ls --decision deny",
    "libos audit prove t_1#12 > proof.json",
  ],
  options: {
    pid: { type: "string" },
    decision: { type: "string" },
    tree: { type: "string" },
    since: { type: "string" },
    format: { type: "string" },
    ...CHECK_OPTIONS,
  },
  words: [0, 2],
  remote: auditThere,
  async run(at) {
    const [verb = "ls", word = ""] = at.words;
    const known = Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined;
    if (known === undefined) {
      const expected = `expected ${Object.keys(VERBS).join(", ")}`;
      throw new UsageError(`Cannot run "audit ${verb}": no such verb, ${expected}`);
    }
    const given = Math.max(0, at.words.length - 1);
    const [least, most] = known.words;
    if (given >= least && given <= most) return await known.run(at, word);
    throw new UsageError(`Cannot run "audit ${verb}": expected audit ${known.usage}`);
  },
};

/** `verify`. */
export const verify: Command = {
  name: "verify",
  group: "evidence",
  usage: "[TREE | FILE] [--trust KEY] [--head HEAD]",
  about: "Check that nobody changed a log, a proof or an export, and that state is what logs say",
  examples: ["libos verify", "libos verify proof.json --trust auditor.keys"],
  options: CHECK_OPTIONS,
  words: [0, 1],
  remote: verifyThere,
  run: (at) => verifyAny(at, at.words[0] ?? ""),
};
