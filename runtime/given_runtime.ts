/**
 * The options of a runtime, looked at before anything is opened for it.
 * @module
 */

import {
  ANY,
  checkGiven,
  FLAG,
  LIST,
  oneOf,
  type Shape,
  type Shapes,
  TEXT,
  wholeNumber,
} from "./given.ts";
import { isModel } from "./image.ts";
import type { RuntimeOptions } from "./runtime_options.ts";
import type { JitOptions } from "./workshop.ts";

const STORE: Shape = {
  is: (value) => TEXT.is(value) || (typeof value === "object" && value !== null),
  state: "is no store",
  expected: 'a path, ":memory:", an address or a store',
};
const FOLDER: Shape = {
  is: (value) => value === null || TEXT.is(value),
  state: "is no folder",
  expected: "its path, or null for none",
};
const RULES: Shape = {
  is: (value) => typeof value === "string" || Array.isArray(value),
  state: "are no rules",
  expected: "a text or an array",
};

const IMAGES: Shape = {
  is: (value) => Array.isArray(value) && value.every((one) => Array.isArray(Object(one).tools)),
  state: "are no images",
  expected: "an array of what defineImage() gives",
};
const MODELS: Shape = {
  is: (value) =>
    Array.isArray(value) && value.every((one) => typeof one === "object" && isModel(one)),
  state: "are no models",
  expected: "an array of models or AI SDK provider objects",
};

const WHO: Shape = {
  is: (value) =>
    ["queue", "terminal", "deny"].includes(value as string) || typeof value === "function" ||
    typeof Object(value).ask === "function",
  state: "is unknown",
  expected: "queue or terminal or deny or a function or an object with ask()",
};

const OPTIONS: Shapes<RuntimeOptions> = {
  store: STORE,
  readUrl: TEXT,
  durability: oneOf(["power", "process"]),
  encryption: ANY,
  workspace: FOLDER,
  reserved: LIST,
  net: ANY,
  images: IMAGES,
  policy: RULES,
  policyFile: TEXT,
  destructiveApprovers: oneOf([1, 2]),
  escalateMs: wholeNumber(0, Number.MAX_SAFE_INTEGER),
  onBudget: oneOf(["ask", "fail"]),
  mcp: ANY,
  models: MODELS,
  gate: ANY,
  prices: ANY,
  quotas: LIST,
  simulators: LIST,
  skills: LIST,
  approvals: WHO,
  concurrency: ANY,
  clock: ANY,
  random: ANY,
  autorun: FLAG,
  operator: TEXT,
  jit: oneOf([false], "an object"),
  shell: oneOf([true, false], "an object"),
  programs: FLAG,
  audit: ANY,
  hooks: LIST,
  hookOptions: ANY,
  telemetry: ANY,
  retention: ANY,
  node: ANY,
};

const JIT: Shapes<JitOptions> = {
  isolation: oneOf(["process", "jail", "worker"]),
  review: oneOf(["always", "new-rights", "never"]),
  memoryMb: ANY,
  timeout: ANY,
  warm: FLAG,
  workshop: ANY,
};

/** Refuses what nobody could mean with `EINVAL`: a policy whose name is mistyped would not hold. */
export function checkRuntime(options: RuntimeOptions): void {
  checkGiven("Cannot make a runtime", options, OPTIONS);
  const { jit = false } = options;
  if (jit !== false) checkGiven("Cannot run generated tools", jit, JIT);
}
