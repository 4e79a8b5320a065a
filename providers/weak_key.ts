/**
 * Public keys of Ed25519 that nobody made and everybody has the secret of.
 * @module
 */

/**
 * Points of small order, their signs aside: under such a key anybody signs anything, and some
 * checkers of signatures take them. No key that was made is among them.
 */
const WEAK: readonly string[] = [
  "00".repeat(32),
  `01${"00".repeat(31)}`,
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  `ec${"ff".repeat(30)}7f`,
  `ed${"ff".repeat(30)}7f`,
  `ee${"ff".repeat(30)}7f`,
];

/** Whether a public key, in hexadecimal digits, is one under which anybody signs. */
export function isWeakKey(key: string): boolean {
  const last = Number.parseInt(key.slice(62), 16) & 0x7f;
  return WEAK.includes(key.slice(0, 62) + last.toString(16).padStart(2, "0"));
}
