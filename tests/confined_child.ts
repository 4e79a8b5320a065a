/**
 * A kernel that starts a program, and passes on what it says: one which stays until it is killed, or
 * which tells its open files.
 * @module
 */

import { NO_REACH } from "../kernel/reach.ts";
import { Programs } from "../providers/confined.ts";
import { AMPLE } from "./confined_place.ts";

const [root, word, confined] = Deno.args as [string, string, string];
const line = word === "fds" ? "ls /proc/self/fd" : `sh -c 'sleep 60; exit' ${word} & echo up; wait`;
const program = await new Programs().start({
  program: "/bin/sh",
  args: ["-c", line],
  env: { PATH: "/usr/bin:/bin" },
  place: { root, cwd: ".", reach: NO_REACH },
  confined: confined === "true",
  limits: AMPLE,
});
for await (const chunk of program.stdout) await Deno.stdout.write(chunk);
