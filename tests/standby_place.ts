/**
 * A hot standby for tests: a server that follows another, from a copy of its files.
 * @module
 */

import { join } from "node:path";
import { noPostgres, type Server, startPostgres } from "./postgres_place.ts";

/** Whether tests have to do without: a server that was given cannot be copied. */
export const noStandby: boolean = noPostgres() !== undefined ||
  Deno.env.get("LIBOS_TEST_PG") !== undefined;

/** A server that follows another, which stands still while it is copied. */
export async function standbyOf(primary: Server): Promise<Server> {
  await primary.kill();
  const data = async (to: string): Promise<void> => {
    const { success } = await new Deno.Command("cp", { args: ["-r", primary.data!, to] }).output();
    if (!success) throw new Error("No copy");
    await Deno.remove(join(to, "postmaster.pid")).catch(() => {});
  };
  const { hostname, port } = new URL(primary.url);
  const follows = `primary_conninfo=host=${hostname} port=${port} user=libos`;
  const standby = await startPostgres([follows, "wal_retrieve_retry_interval=100"], {
    data,
    files: { "standby.signal": "" },
  });
  await primary.start();
  return standby;
}
