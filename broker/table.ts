/**
 * The table of all system calls: the only dispatch, and the source of everything about them.
 * @module
 */

import { capabilityCalls } from "./calls/capability.ts";
import { contextCalls } from "./calls/context.ts";
import { fileCalls } from "./calls/file.ts";
import { mcpCalls } from "./calls/mcp.ts";
import { labelCalls } from "./calls/label.ts";
import { modelCalls } from "./calls/model.ts";
import { netCalls } from "./calls/net.ts";
import { namespaceCalls, objectCalls } from "./calls/object.ts";
import { programCalls } from "./calls/program.ts";
import { processCalls } from "./calls/process.ts";
import { shellCalls } from "./calls/shell.ts";
import { checkpointCalls } from "./calls/checkpoint.ts";
import { simulateCalls } from "./calls/simulate.ts";
import { humanCalls, messageCalls } from "./calls/talk.ts";
import { skillCalls } from "./calls/skill.ts";
import { budgetCalls, clockCalls, randomCalls } from "./calls/time.ts";
import { toolCalls } from "./calls/tool.ts";

/** Every call by name. */
export const SYSCALLS = {
  ...processCalls,
  ...objectCalls,
  ...namespaceCalls,
  ...capabilityCalls,
  ...humanCalls,
  ...messageCalls,
  ...clockCalls,
  ...randomCalls,
  ...fileCalls,
  ...shellCalls,
  ...netCalls,
  ...modelCalls,
  ...mcpCalls,
  ...simulateCalls,
  ...skillCalls,
  ...contextCalls,
  ...toolCalls,
  ...budgetCalls,
  ...checkpointCalls,
  ...programCalls,
  ...labelCalls,
};

/** Rights that no call is named for, but rules may name. */
export const EXTRA_RIGHTS: readonly string[] = [
  "message.interrupt",
  "net.connect",
  "program.sys",
  "tool.limit",
  "credential.use",
];

/** All rights which policy may name. */
export const RIGHTS: readonly string[] = [...Object.keys(SYSCALLS), ...EXTRA_RIGHTS];
