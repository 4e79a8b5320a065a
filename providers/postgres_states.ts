/**
 * What PostgreSQL says by its codes of state, and what that is here.
 * @module
 */

import type { Errno } from "../kernel/errors.ts";

const CERTIFICATE = "the server's certificate is not to be believed, " +
  "expected one of that name by an authority in sslrootcert";

/** The beginning of a state → our code, and what the sentence says. The first that fits. */
export const STATES: readonly (readonly [string, Errno, string])[] = [
  ["28", "EACCES", "the database refuses who asks, expected a role that may; look at the address"],
  ["42501", "EACCES", "the role may not, expected one that the tables were made for"],
  ["3D000", "ENOENT", "there is no such database, expected one that was made"],
  ["53100", "ENOSPC", "the database's disk is full, expected room on it"],
  ["53300", "EAGAIN", "the database has too many connections, expected a free one"],
  ["40", "EAGAIN", "another transaction was in the way, expected none; try again"],
  ["55P03", "EAGAIN", "locked by another transaction, expected it to be free"],
  ["25006", "EIO", "it can only be read, expected the primary and no replica"],
  ["XX", "EINTEGRITY", "the database found damage, expected what was written"],
  ["CONNECTION_", "EIO", "the connection was lost, expected the database to answer"],
  ["CONNECT_TIMEOUT", "EIO", "the database does not answer, expected it to run"],
  ["ECONN", "EIO", "the database cannot be reached, expected it to run at that address"],
  ["ENOTFOUND", "EIO", "the database's host has no address, expected one that is known"],
  ["ERR_TLS", "EACCES", CERTIFICATE],
  ["UNABLE_TO_", "EACCES", CERTIFICATE],
  ["CERT_", "EACCES", CERTIFICATE],
  ["SELF_SIGNED", "EACCES", CERTIFICATE],
  ["DEPTH_ZERO", "EACCES", CERTIFICATE],
  ["08", "EIO", "the connection was lost, expected the database to answer"],
  ["57P", "EIO", "the database is being stopped or started, expected it to run"],
];
