/**
 * The backup that docs/postgres.md describes: taken while a node runs, and restored to another
 * server, where every chain verifies and agents go on.
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import postgres from "postgres";
import { allow, createRuntime, defineImage } from "../mod.ts";
import { noPostgres, type Server, startPostgres } from "./postgres_place.ts";
import { statements } from "./postgres_roles.ts";

const ignore = noPostgres() !== undefined || Deno.env.get("LIBOS_TEST_PG") !== undefined;

/** Copies a folder as it is while it is written, as any tool that copies files would. */
async function copyLive(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { mode: 0o700 });
  for await (const { name, isDirectory, isFile } of Deno.readDir(from)) {
    // The server's own; the page says so.
    if (name === "postmaster.pid" || name === "postmaster.opts") continue;
    if (isDirectory) await copyLive(join(from, name), join(to, name));
    else if (isFile) {
      await Deno.copyFile(join(from, name), join(to, name)).catch((error) => {
        // Files come and go meanwhile.
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      });
    }
  }
}

/** Copies the data between the two calls that make of it a whole. */
async function backedUp(server: Server, to: string): Promise<void> {
  // One session from the first call to the last.
  const sql = postgres(server.url, { max: 1, onnotice: () => {} });
  await sql`SELECT pg_backup_start('libos', true)`;
  const [name] = await sql`SELECT pg_walfile_name(pg_current_wal_lsn()) AS first`;
  assert.match(name!.first, /^[0-9A-F]{24}$/);
  await copyLive(server.data!, to);
  const [stop] = await sql`SELECT labelfile, spcmapfile FROM pg_backup_stop(false)`;
  await Deno.writeTextFile(join(to, "backup_label"), stop!.labelfile);
  // What was written while it was copied.
  await Deno.remove(join(to, "pg_wal"), { recursive: true });
  await copyLive(join(server.data!, "pg_wal"), join(to, "pg_wal"));
  await sql.end();
}

Deno.test({
  name:
    "A backup that was taken while agents run is restored elsewhere: chains verify, agents go on, no effect is repeated",
  ignore,
  fn: async () => {
    const folder = await Deno.makeTempDir();
    const workspace = join(folder, "work");
    await Deno.mkdir(workspace);
    const image = defineImage({
      name: "writer",
      program: async ({ sys, input }) => {
        const name = String(input);
        await sys.file.write({ path: `./${name}-a`, text: "", mode: "create" });
        await sys.message.receive({});
        await sys.file.write({ path: `./${name}-b`, text: "", mode: "create" });
        await sys.process.exit({ result: name });
      },
    });
    const options = { workspace, images: [image], approvals: "deny" } as const;
    const server = await startPostgres([]);
    const copy = join(folder, "copy");
    const pids: string[] = [];
    {
      await using os = await createRuntime({ store: server.url, ...options });
      for (let i = 0; i < 8; i++) {
        const asked = { goal: "Write", input: `${i}`, grants: [allow("file.*", "./**")] };
        pids.push((await os.spawn(image, asked)).pid);
      }
      await os.runUntilIdle();
      // Others are started, and write, while files are copied.
      let isOver = false;
      const going = (async () => {
        for (let i = 100; !isOver && i < 160; i++) {
          const asked = { goal: "Write", input: `${i}`, grants: [allow("file.*", "./**")] };
          await os.spawn(image, asked);
        }
      })();
      await backedUp(server, copy);
      isOver = true;
      await going;
      await os.runUntilIdle();
    }
    await server.stop();
    const restored = await startPostgres([], { data: (to) => Deno.rename(copy, to) });
    const sql = postgres(restored.url, { max: 1, onnotice: () => {} });
    await sql.unsafe(statements("Restored", "libos"));
    await sql.end();
    {
      await using os = await createRuntime({ store: restored.url, ...options });
      const checked = await os.verify();
      assert(checked.length >= 8);
      assert.deepEqual([...new Set(checked.map(({ broken }) => broken))], [null]);
      assert.deepEqual(await os.node.options.store.check(), []);
      for (const [i, pid] of pids.entries()) {
        const process = (await os.get(pid))!;
        await process.send("go on");
        // The first file, written before the backup, is there: to create it again would fail.
        assert.equal((await process.wait()).result, `${i}`);
      }
      assert.deepEqual(
        pids.map((_, i) => Deno.statSync(join(workspace, `${i}-b`)).isFile),
        pids.map(() => true),
      );
    }
    await restored.stop();
    await Deno.remove(folder, { recursive: true });
  },
});
