/**
 * Shapes of packages.
 * @module
 */

import { z } from "@hono/zod-openapi";
import { hashShape } from "./shape.ts";

/** A package by its label. */
export const packageLabelShape = z.object({ ref: z.string(), hash: hashShape })
  .openapi("PackageLabel");
/** What is in a package. */
export const packageShape = z.object({
  ref: z.string(),
  hash: hashShape,
  /** What its agents will ask people for. It gives nothing. */
  needs: z.array(z.string()),
  /** The model it was made for. */
  model: z.string().nullable(),
  /** Its built-in tools; null for all. */
  libc: z.array(z.string()).nullable(),
  budget: z.record(z.string(), z.number()),
  maxSteps: z.number().int(),
  /** Generated tools, with the most that a call of one may use. */
  tools: z.array(z.object({
    name: z.string(),
    description: z.string(),
    rights: z.array(z.string()),
    tests: z.number().int(),
    source: z.string(),
  })),
  /** Skills, with what they say they use: a claim, which opens nothing. */
  skills: z.array(z.object({
    name: z.string(),
    description: z.string(),
    allowedTools: z.string().nullable(),
  })),
  files: z.array(z.object({ path: z.string(), bytes: z.number().int(), sha256: hashShape })),
  instructions: z.string(),
  /** Public keys whose signatures hold. */
  signedBy: z.array(z.string()),
}).openapi("Package");
/** The file of a package, as it was built. */
export const packageFileShape = z.object({
  type: z.string(),
  hash: z.string(),
  body: z.record(z.string(), z.unknown()),
  signatures: z.array(z.object({ key: z.string(), sig: z.string() })),
}).openapi("PackageFile");
/** What differs between two packages, what a person has to look at first. */
export const packageChangeShape = z.object({
  what: z.string(),
  name: z.string(),
  mark: z.enum(["+", "-", "~"]),
  detail: z.string(),
}).openapi("PackageChange");
/** A package. */
export type PackageView = z.infer<typeof packageShape>;
