/**
 * Trees in PostgreSQL: the store that many nodes share. A door of its own, so that who does not use
 * it does not load its library.
 * @module
 */

export { PostgresStore } from "./providers/postgres_store.ts";
export type { PostgresOptions } from "./providers/postgres_handle.ts";
export type * from "./kernel/fleet.ts";
export type * from "./kernel/store.ts";
export type * from "./kernel/tail.ts";
