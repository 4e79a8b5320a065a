/**
 * Images as the API shows them.
 * @module
 */

import { formatPattern } from "../../kernel/grammar.ts";
import { formatRule, type Rule } from "../../runtime/rule.ts";
import type { KnownImage } from "../image_book.ts";
import type { ImageView } from "../schema/memory.ts";

/** An image. */
export function imageView({ image: { ref, data }, made, start }: KnownImage): ImageView {
  return {
    ref,
    hash: data.hash,
    program: data.program,
    model: data.model,
    tools: [...data.tools],
    requests: data.requests.map(formatPattern),
    generated: (data.generated ?? []).map(({ name, hash }) => ({ name, hash })),
    instructions: data.instructions,
    package: data.package ?? null,
    start: start === undefined ? null : {
      goal: start.goal ?? null,
      grants: (start.grants ?? []).map(wholeRule),
    },
    made: made === null ? null : {
      pid: made.pid,
      seq: made.seq,
      checkpoint: made.checkpoint,
      by: made.by,
      at: made.at,
    },
  };
}

/** A rule with what narrows it: nobody shall take it for more than it is. */
function wholeRule({ effect, right, resource, ...narrowed }: Rule): string {
  const text = formatRule({ effect, right, resource });
  return Object.keys(narrowed).length === 0 ? text : `${text} ${JSON.stringify(narrowed)}`;
}
