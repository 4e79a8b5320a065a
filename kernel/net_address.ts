/**
 * Addresses of the internet: one spelling for each, and which of them are not public.
 *
 * Invariants:
 *   N1. What is not known to be public is not: an address outside of the tables has a word, too.
 *   N2. An address that carries another (mapped, NAT64, 6to4, Teredo, ISATAP) is no more public
 *       than the one it carries.
 * @module
 */

/** First addresses of ranges that are not public, how many bits say so, and what they are. */
const V4: readonly (readonly [string, number, string])[] = [
  ["169.254.169.254", 32, "metadata"],
  ["169.254.170.2", 32, "metadata"],
  ["169.254.170.23", 32, "metadata"],
  ["100.100.100.200", 32, "metadata"],
  ["168.63.129.16", 32, "metadata"],
  ["192.0.0.192", 32, "metadata"],
  ["0.0.0.0", 8, "unspecified"],
  ["10.0.0.0", 8, "private"],
  ["100.64.0.0", 10, "carrier"],
  ["127.0.0.0", 8, "loopback"],
  ["169.254.0.0", 16, "link-local"],
  ["172.16.0.0", 12, "private"],
  ["192.0.0.0", 24, "reserved"],
  ["192.0.2.0", 24, "documentation"],
  ["192.31.196.0", 24, "reserved"],
  ["192.52.193.0", 24, "reserved"],
  ["192.88.99.0", 24, "tunnel"],
  ["192.168.0.0", 16, "private"],
  ["192.175.48.0", 24, "reserved"],
  ["198.18.0.0", 15, "benchmark"],
  ["198.51.100.0", 24, "documentation"],
  ["203.0.113.0", 24, "documentation"],
  ["224.0.0.0", 4, "multicast"],
  ["255.255.255.255", 32, "broadcast"],
  ["240.0.0.0", 4, "reserved"],
];

/** The same for IPv6; what is outside of 2000::/3 and not here is reserved. */
const V6: readonly (readonly [string, number, string])[] = [
  ["::", 128, "unspecified"],
  ["::1", 128, "loopback"],
  ["fd00:ec2::254", 128, "metadata"],
  ["fd00:ec2::23", 128, "metadata"],
  ["fd20:ce::254", 128, "metadata"],
  ["fd00:42::42", 128, "metadata"],
  ["64:ff9b:1::", 48, "private"],
  ["100::", 64, "discard"],
  ["2001:db8::", 32, "documentation"],
  ["2001::", 23, "reserved"],
  ["2620:4f:8000::", 48, "reserved"],
  ["3fff::", 20, "documentation"],
  ["fc00::", 7, "private"],
  ["fe80::", 10, "link-local"],
  ["fec0::", 10, "private"],
  ["ff00::", 8, "multicast"],
];

const DOTTED = /^\d{1,3}(\.\d{1,3}){3}$/;

/**
 * The one spelling of an address, without brackets; undefined for what is none. What is mapped
 * into IPv6 is the IPv4 address that is reached by it.
 */
export function canonicalAddress(text: string): string | undefined {
  if (!text.includes(":")) {
    const host = URL.parse(`http://${text}/`)?.hostname;
    return host !== undefined && DOTTED.test(host) && /^[\d.a-fx]+$/i.test(text) ? host : undefined;
  }
  const host = URL.parse(`http://[${text.replace(/^\[(.*)\]$/, "$1")}]/`)?.hostname.slice(1, -1);
  if (host === undefined) return undefined;
  const groups = groupsOf(host);
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  return isMapped ? carried(groups, 6) : host;
}

/** What is not public about an address in its one spelling, as a word; null where it is public. */
export function addressKind(address: string): string | null {
  if (!address.includes(":")) {
    const number = numberOf(address);
    return V4.find(([first, bits]) => sameBits(number, numberOf(first), 32 - bits))?.[2] ?? null;
  }
  const groups = groupsOf(address);
  const number = wide(groups);
  const known = V6.find(([first, bits]) => wideSame(number, wide(groupsOf(first)), 128 - bits));
  return carriedKind(groups) ?? known?.[2] ?? outside(groups);
}

/** Whether an address is of IPv6. */
export function isV6(address: string): boolean {
  return address.includes(":");
}

function outside(groups: readonly number[]): string | null {
  const isGlobal = (groups[0]! & 0xe000) === 0x2000;
  const isNat64 = isUnder(groups, [0x64, 0xff9b, 0, 0, 0, 0]);
  return isGlobal || isNat64 ? null : "reserved";
}

/** What is not public about the IPv4 address that an IPv6 one carries (N2). */
function carriedKind(groups: readonly number[]): string | null {
  if (isUnder(groups, [0x64, 0xff9b, 0, 0, 0, 0])) return addressKind(carried(groups, 6));
  // These leave by relays which nobody here chose.
  if (isUnder(groups, [0x2002])) return addressKind(carried(groups, 1)) ?? "tunnel";
  if (isUnder(groups, [0x2001, 0])) {
    return addressKind(carried(groups.map((group) => group ^ 0xffff), 6)) ?? "tunnel";
  }
  const isIsatap = (groups[4]! & 0xfdff) === 0 && groups[5] === 0x5efe;
  return isIsatap ? addressKind(carried(groups, 6)) : null;
}

function isUnder(groups: readonly number[], head: readonly number[]): boolean {
  return head.every((group, i) => groups[i] === group);
}

function carried(groups: readonly number[], at: number): string {
  const [high = 0, low = 0] = groups.slice(at, at + 2);
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}

/** The eight groups of an address as URLs spell it. */
function groupsOf(address: string): number[] {
  const [head = "", tail] = address.split("::");
  const read = (part: string): number[] =>
    part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16));
  const [before, after] = [read(head), read(tail ?? "")];
  return [...before, ...new Array(8 - before.length - after.length).fill(0), ...after];
}

function numberOf(dotted: string): number {
  return dotted.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
}

function sameBits(a: number, b: number, free: number): boolean {
  return Math.floor(a / 2 ** free) === Math.floor(b / 2 ** free);
}

function wide(groups: readonly number[]): bigint {
  return groups.reduce((sum, group) => sum * 65_536n + BigInt(group), 0n);
}

function wideSame(a: bigint, b: bigint, free: number): boolean {
  return a >> BigInt(free) === b >> BigInt(free);
}
