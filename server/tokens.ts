/**
 * Tokens: who may speak to the server, stored as hashes.
 * @module
 */

import type { Principal, Role } from "./principal.ts";

/** A token, without its secret. */
export interface TokenRecord {
  readonly id: string;
  /** What the log says of whoever has it. */
  readonly name: string;
  readonly role: Role;
  readonly labels: Readonly<Record<string, string>>;
  /** SHA-256 of the secret. */
  readonly hash: string;
  readonly createdMs: number;
  readonly expiresMs: number | null;
}

/** The tokens of a server. */
export interface TokenBook {
  /** Whose secret it is; undefined when it is nobody's, or out of date. */
  check(secret: string): Principal | undefined;
  /** Makes one; the secret is told once. */
  create(given: {
    readonly name: string;
    readonly role: Role;
    readonly labels?: Readonly<Record<string, string>>;
    readonly forMs?: number;
  }): Promise<{ readonly record: TokenRecord; readonly secret: string }>;
  /** All that are kept. */
  list(): readonly TokenRecord[];
  /** Takes one back at once; its sessions and streams end. */
  revoke(id: string): Promise<boolean>;
}
