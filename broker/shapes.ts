/**
 * Shapes that several calls share.
 * @module
 */

import { z } from "zod";
import { isId, type ObjectId, type Pid } from "../kernel/ids.ts";
import type { Json, JsonObject } from "../kernel/json.ts";
import { SENSITIVITIES, TRUSTS } from "../kernel/label.ts";
import { LIMITS } from "../kernel/limits.ts";

/** A process's id. */
export const pidShape = z.custom<Pid>((value) => isId("p", value), "expected a pid like p_1.2")
  .meta({ tsType: "Pid" });
/** An object's id. */
export const objectIdShape = z.custom<ObjectId>((value) => isId("obj", value), "expected an id")
  .meta({ tsType: "ObjectId" });
/** A capability's id. */
export const capIdShape = z.custom<`cap_${string}`>(
  (value) => isId("cap", value),
  "expected a capability id like cap_1.4",
).meta({ tsType: "CapId" });
/** A path of a file, relative to the working directory. */
export const pathShape = z.string().min(1).max(LIMITS.pathBytesMax)
  .describe("Relative to the working directory");
/** A name or id of an object. */
export const objectShape = z.string().min(1).max(512).describe(
  'A name in the own memory ("notes/monday"), "/p_2/name" in another namespace, or an id',
);
/** Any JSON value. Values were checked and copied at the door. */
export const jsonShape = z.any().describe("Any JSON value") as unknown as z.ZodType<Json>;
/** A JSON object. */
export const jsonObjectShape = z.record(z.string(), jsonShape) as unknown as z.ZodType<JsonObject>;
/** A label. */
export const labelShape = z.strictObject({
  sensitivity: z.enum(SENSITIVITIES),
  trust: z.enum(TRUSTS),
  origin: z.array(z.string().max(LIMITS.labelOriginCharsMax))
    .max(LIMITS.labelOriginsMax + 1).readonly().optional(),
});
/** A rule of authority: a right on a resource. */
export const ruleShape = z.string().min(3).max(LIMITS.ruleBytesMax)
  .describe("right(resource), such as file.read(./src/**)");
/** Milliseconds to wait at most. */
export const timeoutShape = z.number().int().min(0).max(LIMITS.sleepMsMax);
/** Nothing. */
export const nothing = z.strictObject({});
/** Limits of a budget. */
export const budgetShape = z.strictObject({
  modelCalls: z.number().int().min(0).optional(),
  tokens: z.number().int().min(0).optional(),
  usd: z.number().min(0).optional(),
  toolCalls: z.number().int().min(0).optional(),
  children: z.number().int().min(0).optional(),
  depth: z.number().int().min(0).optional(),
  wallMs: z.number().int().min(0).optional(),
  bytes: z.number().int().min(0).optional(),
});
