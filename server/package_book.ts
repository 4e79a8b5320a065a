/**
 * Packages by name: those that people built or brought, kept on a shelf.
 *
 * Invariants:
 *   B3. `name@version` means one package for good, as long as it is there: another is refused.
 *   B4. What is read is whole, has the hash of its label, and every signature on it holds; or it is
 *       refused, and never used in part.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Shelf, Shelved } from "../providers/package_folder.ts";
import { holdsSignature, type PackageKey } from "../providers/package_key.ts";
import { type Package, packageText, readPackage, signedOf } from "../runtime/package.ts";

/** `name@version` of a package. */
export function packageRef({ name, version }: Pick<Shelved, "name" | "version">): string {
  return `${name}@${version}`;
}

/** Reads a package's file, its signatures included: `EINTEGRITY` for one that does not hold. */
export async function checkedPackage(text: string): Promise<Package> {
  const read = readPackage(text);
  for (const signature of read.signatures) {
    if (await holdsSignature(signature, signedOf(read.hash))) continue;
    const sentence = `Cannot use the package: the signature by ${signature.key} does not hold`;
    throw new SysError("EINTEGRITY", `${sentence}, expected none, or one of this content`);
  }
  return read;
}

/** The same package, with one more signature. Throws `ELIMIT`. */
export async function signedPackage(one: Package, by: PackageKey): Promise<Package> {
  const others = one.signatures.filter(({ key }) => key !== by.key);
  if (others.length >= LIMITS.packageSignaturesMax) {
    const state = `${others.length} signed it, expected ${LIMITS.packageSignaturesMax} at most`;
    throw new SysError("ELIMIT", `Cannot sign the package: ${state}`, {
      limit: "packageSignaturesMax",
    });
  }
  const sig = await by.sign(signedOf(one.hash));
  return { ...one, signatures: [...others, { key: by.key, sig }] };
}

/** The packages of a shelf. */
export class PackageBook {
  readonly #shelf: Shelf;

  /** Of a shelf, which others may change meanwhile. */
  constructor(shelf: Shelf) {
    this.#shelf = shelf;
  }

  /** Labels of all, in order. */
  list(): readonly Shelved[] {
    return this.#shelf.list();
  }

  /** The label that a word means: `name@version`, a hash or its beginning, or a name with one. */
  named(word: string): Shelved | undefined {
    const all = this.list();
    const exact = all.filter((one) => packageRef(one) === word || one.hash === word);
    const named = exact.length > 0 ? exact : all.filter(({ name }) => name === word);
    const near = named.length > 0 || !/^[0-9a-f]{6,}$/.test(word)
      ? named
      : all.filter(({ hash }) => hash.startsWith(word));
    if (near.length < 2) return near[0];
    const some = near.slice(0, 5).map(packageRef).join(", ");
    const state = `${near.length} begin so, expected one of ${some}`;
    throw new SysError("EINVAL", `Cannot tell which image "${word}" is: ${state}`);
  }

  /** The package that a word means (B4). Throws `ENOENT`, `EINTEGRITY`. */
  async read(word: string): Promise<Package> {
    const label = this.named(word);
    if (label !== undefined) return await this.open(label);
    const expected = "absent, expected one of libos images";
    throw new SysError("ENOENT", `Cannot find a package "${word}": ${expected}`);
  }

  /** The package of a label (B4). */
  async open(label: Shelved): Promise<Package> {
    const one = await checkedPackage(this.#shelf.read(label));
    const { hash, body } = one;
    if (hash === label.hash && packageRef(body) === packageRef(label)) return one;
    const sentence = `Cannot use image "${packageRef(label)}": its file holds another`;
    throw new SysError("EINTEGRITY", `${sentence}, expected sha256:${label.hash.slice(0, 12)}`);
  }

  /**
   * Keeps a package, with the signatures that it and the one which is there have. `isNew` is false
   * where it was there. Throws `EEXIST` for another of that name and version (B3), `ELIMIT`.
   */
  async add(given: Package): Promise<{ readonly one: Package; readonly isNew: boolean }> {
    const all = this.list();
    const ref = packageRef(given.body);
    const known = all.find((label) => packageRef(label) === ref);
    if (known !== undefined && known.hash !== given.hash) {
      const state = `it is another one (sha256:${known.hash.slice(0, 12)})`;
      const expected = `expected another version, or libos images rm ${ref} first`;
      throw new SysError("EEXIST", `Cannot keep image "${ref}": ${state}, ${expected}`);
    }
    if (known === undefined && all.length >= LIMITS.packagesMax) {
      const state = `${all.length} are kept, expected ${LIMITS.packagesMax} at most`;
      throw new SysError("ELIMIT", `Cannot keep image "${ref}": ${state}`, {
        limit: "packagesMax",
      });
    }
    const there = known === undefined ? [] : (await this.open(known)).signatures;
    const keys = new Map([...there, ...given.signatures].map((one) => [one.key, one]));
    const one = { ...given, signatures: [...keys.values()].slice(0, LIMITS.packageSignaturesMax) };
    const { name, version } = given.body;
    this.#shelf.put({ name, version, hash: given.hash }, packageText(one));
    return { one, isNew: known === undefined };
  }

  /** Takes one away. Throws `ENOENT`. */
  remove(word: string): Shelved {
    const label = this.named(word);
    if (label !== undefined && this.#shelf.remove(label)) return label;
    const expected = "absent, expected one of libos images";
    throw new SysError("ENOENT", `Cannot remove image "${word}": ${expected}`);
  }
}
