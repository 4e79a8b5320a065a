/**
 * What policies are read against: the rights there are, and what the resources of each look like.
 * @module
 */

import type { Forms } from "../kernel/policy.ts";
import { isFree } from "./syscall.ts";
import { RIGHTS, SYSCALLS } from "./table.ts";

const IMAGES = ["**/*@*"];
const PIDS = ["p_*"];
/** A name in Object Memory begins with its namespace, which begins with a letter. */
const OBJECTS = [..."pabcdefghijklmnoqrstuvwxyz"].map((letter) => `${letter}*/**`);

/** Calls that need no right, whatever they are asked. */
export const FREE: ReadonlySet<string> = new Set(
  Object.entries(SYSCALLS).filter(([, def]) => isFree(def)).map(([name]) => name),
);

/** Calls that are judged by what they are made of, and never by a right of their own name. */
const NEEDLESS = [
  ...["context.compact", "context.inspect", "context.pin", "context.unpin"],
  ...["mcp.call", "mcp.import", "object.export", "object.import", "program.check", "skill.unload"],
];

/** What the resources of rights look like. */
export const FORMS: Forms = {
  ...Object.fromEntries([...FREE, ...NEEDLESS].map((name) => [name, []])),
  "budget.inspect": PIDS,
  "budget.limit": PIDS,
  "capability.delegate": PIDS,
  "message.interrupt": PIDS,
  "message.send": PIDS,
  "net.fetch": ["https://**", "http://**"],
  "object.append": OBJECTS,
  "object.create": OBJECTS,
  "object.delete": OBJECTS,
  "object.find": OBJECTS,
  "object.link": OBJECTS,
  "object.list": OBJECTS,
  "object.read": OBJECTS,
  "object.write": OBJECTS,
  "process.detach": IMAGES,
  "process.exec": IMAGES,
  "process.fork": ["self"],
  "process.inspect": PIDS,
  "process.signal": PIDS,
  "process.spawn": IMAGES,
};

/** What policies are read against. */
export const POLICIES = { rights: RIGHTS, forms: FORMS, free: FREE } as const;
