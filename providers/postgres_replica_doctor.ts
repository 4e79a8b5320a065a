/**
 * What is to be known of a replica before what is shown is read from it.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { readAddress } from "./postgres_address.ts";
import type { DatabaseFinding } from "./postgres_doctor.ts";
import { Postgres, postgresFailure } from "./postgres_handle.ts";
import { placeOf, whyForeign } from "./postgres_replica.ts";

/**
 * Looks at a replica beside its primary. One that is not used is bad: nodes go on without it, and
 * the primary has all the work.
 */
export async function examineReplica(
  primary: Postgres,
  url: string,
): Promise<DatabaseFinding> {
  const found = (state: DatabaseFinding["state"], detail: string): DatabaseFinding => {
    return { what: "replica", state, detail };
  };
  let copy: Postgres | undefined;
  try {
    const { schema } = readAddress(url, primary.schema);
    copy = new Postgres(url, { schema, connections: 1, awayMs: LIMITS.storeConnectMsMax });
    const place = await placeOf(copy.run);
    const before = await placeOf(primary.run);
    const [row] = await copy.run(
      "SELECT ceil(extract(epoch FROM now() - pg_last_xact_replay_timestamp()) * 1000) AS old",
    );
    const why = schema === primary.schema
      ? whyForeign(place, before)
      : `it is of schema "${schema}", expected "${primary.schema}"`;
    if (why !== undefined) return found("bad", `${copy.name}: ${why}`);
    const bytes = Math.max(0, (before.at ?? 0) - (place.at ?? 0));
    const old = row?.old == null ? "of an unknown age" : `${Number(row.old)} ms old`;
    const detail = `${copy.name}: ${bytes} bytes behind, the last commit that it has is ${old}`;
    const isLate = bytes > 0 && Number(row?.old ?? 0) > LIMITS.replicaLagMsMax;
    return isLate
      ? found("note", `${detail}, expected ${LIMITS.replicaLagMsMax} ms at most: it is not read`)
      : found("ok", detail);
  } catch (thrown) {
    const known = postgresFailure(thrown, `read replica "${copy?.name ?? "postgres"}"`);
    if (!(known instanceof SysError)) throw known;
    return found("bad", known.message);
  } finally {
    await copy?.close();
  }
}
