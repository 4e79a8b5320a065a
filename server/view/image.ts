/**
 * Images as the API shows them.
 * @module
 */

import { formatPattern } from "../../kernel/grammar.ts";
import type { KnownImage } from "../image_book.ts";
import type { ImageView } from "../schema/memory.ts";

/** An image. */
export function imageView({ image: { ref, data }, made }: KnownImage): ImageView {
  return {
    ref,
    hash: data.hash,
    program: data.program,
    model: data.model,
    tools: [...data.tools],
    requests: data.requests.map(formatPattern),
    generated: (data.generated ?? []).map(({ name, hash }) => ({ name, hash })),
    instructions: data.instructions,
    made: made === null ? null : {
      pid: made.pid,
      seq: made.seq,
      checkpoint: made.checkpoint,
      by: made.by,
      at: made.at,
    },
  };
}
