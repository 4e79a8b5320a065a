/**
 * How many a program may be: bombs of at most 200 sleepers, never more.
 * @module
 */

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { TaskGroup } from "../providers/task_group.ts";
import { Place, walled } from "./confined_place.ts";

const tried = TaskGroup.make("tried", 8);
await tried?.close();
const isHere = tried !== null;
const why = isHere ? "" : " (no control group can be made here)";

/** Starts 200 sleepers at most; how many could not be started is what it says. */
const BOMB = `
for i in $(seq 200); do sleep 30 & done
echo done; wait`;

Deno.test({
  name: `A group of tasks holds a bomb, as root too, without anybody looking on${why}`,
  ignore: !isHere,
  async fn() {
    const group = TaskGroup.make("bomb", 64)!;
    const child = new Deno.Command("/bin/sh", {
      args: ["-c", `${group.joining}trap '' TERM; ${BOMB}`],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const told = Promise.withResolvers<void>();
    let said = "";
    const heard = (async () => {
      for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
        said += text;
        if (/fork/i.test(said)) told.resolve();
      }
      told.resolve();
    })();
    // It is full once its shell says that it can start no more; killed sooner it may say half.
    await told.promise;
    const most = group.tasks;
    await group.close();
    await Promise.all([child.status, heard]);
    // Its shell may have gone by itself when it could start no more; what it started had not.
    assert.ok(most === 63 || most === 64, String(most));
    assert.match(said, /fork/i);
    assert.throws(() => group.tasks, /ENOENT/);
  },
});

walled("A bomb is ended with all that it started, and leaves no group of tasks", async () => {
  using place = new Place();
  const { code, exceeded } = await place.sh(BOMB, { limits: { processes: 64 } });
  assert.notEqual(code, 0);
  assert.equal(exceeded, "processes");
  const left = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).filter((pid) => {
    try {
      return Deno.readTextFileSync(`/proc/${pid}/cgroup`).includes(`libos-${Deno.pid}-`);
    } catch {
      return false;
    }
  });
  assert.deepEqual(left, []);
});
