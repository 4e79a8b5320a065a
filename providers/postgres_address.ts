/**
 * The address of a PostgreSQL database: what of it is ours, and whether the line is encrypted.
 *
 * Invariants:
 *   D1. To a host that is not private nothing goes in clear, and to nobody who does not show a
 *       certificate for that name, unless the address says otherwise.
 * @module
 */

import { readFileSync } from "node:fs";
import { SysError } from "../kernel/errors.ts";
import { addressKind, canonicalAddress } from "../kernel/net_address.ts";

/** Who is believed to be the database. */
export interface Trusted {
  /** Certificates of authorities, in PEM; those of the system when absent. */
  readonly ca?: string;
  /** false: anybody, as `sslmode=require` says. */
  readonly rejectUnauthorized: boolean;
  /** What its certificate has to name where that is an address; the library sees to names. */
  readonly host?: string;
}

/** An address, taken apart. */
export interface PostgresAddress {
  /** What the library is given. */
  readonly at: URL;
  /** The schema, fit to stand in a statement. */
  readonly schema: string;
  /** How the line is encrypted; false where it is in clear. */
  readonly ssl: Trusted | false;
}

const MODES: readonly string[] = ["disable", "require", "verify-full"];
/** Names that the public name service does not give out. */
const PRIVATE_NAME = /(^|\.)(localhost|internal|local|lan|home\.arpa)$/;

/** Takes an address apart. `EINVAL` for one that is none, `ENOENT` for certificates not there. */
export function readAddress(url: string, given: string | undefined): PostgresAddress {
  const at = URL.canParse(url) ? new URL(url) : undefined;
  if (at === undefined || !/^postgres(ql)?:$/.test(at.protocol)) {
    const sentence = "Cannot open a store: no address of PostgreSQL, " +
      "expected postgres://USER@HOST:PORT/DATABASE";
    throw new SysError("EINVAL", sentence);
  }
  // These are ours; all else in the address is the library's.
  const take = (name: string): string | undefined => {
    const value = at.searchParams.get(name);
    at.searchParams.delete(name);
    return value ?? undefined;
  };
  const schema = take("schema") ?? given ?? "libos";
  if (!/^[a-z_][a-z0-9_]{0,47}$/.test(schema)) {
    const sentence = `Cannot open a store: schema ${JSON.stringify(schema)}, ` +
      "expected lower-case letters, digits and _";
    throw new SysError("EINVAL", sentence);
  }
  const [mode, root] = [take("sslmode"), take("sslrootcert")];
  return { at, schema, ssl: lineOf(at.hostname, mode, root) };
}

function lineOf(host: string, mode: string | undefined, root: string | undefined): Trusted | false {
  if (mode !== undefined && !MODES.includes(mode)) {
    const sentence = `Cannot open a store: sslmode ${JSON.stringify(mode)}, ` +
      `expected ${MODES.slice(0, -1).join(", ")} or ${MODES.at(-1)}`;
    throw new SysError("EINVAL", sentence);
  }
  const isClear = mode === "disable" ||
    (mode === undefined && root === undefined && isPrivateHost(host));
  if (isClear) return false;
  if (mode === "require") return { rejectUnauthorized: false };
  const address = canonicalAddress(bare(host));
  return {
    rejectUnauthorized: true,
    ...(address === undefined ? {} : { host: address }),
    ...(root === undefined ? {} : { ca: certificates(root) }),
  };
}

/** An address of IPv6 without its brackets. */
function bare(host: string): string {
  return host.replace(/^\[(.*)\]$/, "$1");
}

/** Whether a host, or each of several with commas between, stays within what its owner runs. */
export function isPrivateHost(host: string): boolean {
  if (host.includes(",")) return host.split(",").every(isPrivateHost);
  const address = canonicalAddress(bare(host));
  if (address !== undefined) return /^(loopback|private)$/.test(addressKind(address) ?? "");
  const name = host.toLowerCase().replace(/\.$/, "");
  // Without a dot it is of this machine's own network, such as another container.
  return !name.includes(".") || PRIVATE_NAME.test(name);
}

function certificates(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    const sentence = `Cannot open a store: sslrootcert "${path}" cannot be read, ` +
      "expected a file of certificates in PEM";
    throw new SysError("ENOENT", sentence);
  }
}
