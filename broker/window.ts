/**
 * Windows: the arguments by which a prompt is put together under a budget, and what that needs.
 * @module
 */

import { z } from "zod";
import { LIMITS } from "../kernel/limits.ts";
import { pinsName } from "./reading.ts";
import type { Need, NeedContext } from "./syscall.ts";

/** Arguments of calls that put a prompt together. */
export const windowArgs = {
  window: z.number().int().min(LIMITS.contextWindowTokensMin).max(LIMITS.contextWindowTokensMax)
    .optional().describe("Most tokens of the prompt: pins, turns and what is recalled are fitted"),
  recall: z.number().int().min(0).max(LIMITS.contextRecallsMax)
    .optional().describe("How many passages to recall at most"),
  query: z.string().max(4_096).optional().describe("What to recall; the last turns by default"),
};

/** Rights that putting a prompt together needs: its conversation, a search, and the pins. */
export function contextNeeds(context: string | undefined, at: NeedContext): Need[] {
  const { tree, process } = at;
  return [
    ...(context === undefined ? [] : [{
      right: "object.read",
      resource: tree.resolve(process.pid, context).name,
      shown: context,
    }]),
    { right: "object.find", resource: process.pid },
    { right: "object.read", resource: pinsName(process.pid) },
  ];
}
