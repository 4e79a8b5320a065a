/**
 * Images by name: those a server was given, those that people made of processes, and packages.
 *
 * Of an image that was made, a name for a position is kept: the process, the line of its tree's
 * log, and the hash. The image is folded from the log again, so what it holds lies in the store
 * alone, encrypted where the store is, and gone when it is erased there.
 *
 * Invariants:
 *   I1. `name@version` means one image for good: another under the same is refused.
 *   I2. An image that is brought back has the hash it was made with, or it is not brought back.
 *   I3. The images of a tree that somebody may not see are absent to them.
 *   I4. Who made an image of what is in the log of its tree, as a checkpoint.
 * @module
 */

import { z } from "zod";
import { ERRORS, SysError } from "../kernel/errors.ts";
import { type CheckpointId, type Pid, treeOf } from "../kernel/ids.ts";
import { LIMITS } from "../kernel/limits.ts";
import { parseJson } from "../kernel/parse.ts";
import type { Store } from "../kernel/store.ts";
import type { Shelved } from "../providers/package_folder.ts";
import type { PrivateFile } from "../providers/private_file.ts";
import { treeAt } from "../runtime/history.ts";
import type { AgentImage } from "../runtime/image.ts";
import type { Package } from "../runtime/package.ts";
import { imageOfPackage } from "../runtime/package_image.ts";
import { type Code, codeOf, commitImage, imageOf } from "../runtime/portable.ts";
import { CONTEXT } from "../runtime/portable_read.ts";
import type { Runtime, SpawnOptions } from "../runtime/runtime.ts";
import { type PackageBook, packageRef } from "./package_book.ts";
import { type Principal, sees } from "./principal.ts";

const RECORD = z.strictObject({
  name: z.string(),
  version: z.string(),
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  pid: z.string().regex(/^p_\d+(\.\d+)?$/),
  seq: z.number().int().positive(),
  checkpoint: z.string(),
  by: z.string(),
  at: z.string(),
});
const FILE = z.strictObject({ type: z.literal("libos.images/1"), images: z.array(RECORD) });

/** What is kept of an image that was made: where it is in which log, and by whom. */
export type MadeImage = z.infer<typeof RECORD>;

/** An image that can be started. */
export interface KnownImage {
  readonly image: AgentImage;
  /** How it was made; null for one that the server was given. */
  readonly made: MadeImage | null;
  /** Labels of the root of the tree it was made in. */
  readonly labels: Readonly<Record<string, string>>;
  /** How its file says to start it. */
  readonly start?: Partial<SpawnOptions>;
  /** Why it can be shown and not started; absent where it can. */
  readonly lacks?: string;
}

/** The name of a checkpoint that an image is made of. */
export function checkpointName(ref: string): string {
  return `image ${ref}`;
}

/** The list of images that were made, in a file. */
export class MadeImages {
  readonly #file: PrivateFile;

  /** Kept in `file`. */
  constructor(file: PrivateFile) {
    this.#file = file;
  }

  /** Changes whenever the list may have. */
  stamp(): string {
    return this.#file.stamp();
  }

  /** All, oldest first. Throws `EINTEGRITY` for a file that is none. */
  list(): readonly MadeImage[] {
    return recordsOf(this.#file.read());
  }

  /**
   * Adds one; false when the same image has that name already. Throws `EEXIST` when another has it,
   * `ELIMIT`.
   */
  add(made: MadeImage): boolean {
    let isNew = false;
    this.#file.update((text) => {
      const images = recordsOf(text);
      const ref = refOf(made);
      const known = images.find((one) => refOf(one) === ref);
      if (known !== undefined && known.hash !== made.hash) throw taken(ref, known.hash);
      if (text !== null && known !== undefined) return text;
      if (images.length >= LIMITS.imagesMadeMax) {
        const state = `${images.length} are kept, expected ${LIMITS.imagesMadeMax} at most`;
        throw new SysError("ELIMIT", `Cannot make image "${ref}": ${state}`, {
          limit: "imagesMadeMax",
        });
      }
      isNew = true;
      return JSON.stringify({ type: "libos.images/1", images: [...images, made] }, null, 1);
    });
    return isNew;
  }
}

function recordsOf(text: string | null): readonly MadeImage[] {
  if (text === null) return [];
  try {
    return FILE.parse(parseJson(text)).images;
  } catch {
    const state = "it is not what was written, expected a list of images";
    throw new SysError("EINTEGRITY", `Cannot read the images: ${state}; remove it to begin anew`);
  }
}

/** `name@version`. */
export function refOf({ name, version }: Pick<MadeImage, "name" | "version">): string {
  return `${name}@${version}`;
}

/** The refusal of a name that another image has (I1): which is said to who may see it. */
export function taken(ref: string, hash?: string): SysError {
  const which = hash === undefined ? "" : ` (sha256:${hash.slice(0, 12)})`;
  const sentence = `Cannot make image "${ref}": it is another one${which}`;
  const more = hash === undefined ? {} : { hash };
  return new SysError("EEXIST", `${sentence}, expected another version`, more);
}

/** Folds an image from the log that it was made of (I2). */
export async function madeAgain(store: Store, code: Code, made: MadeImage): Promise<KnownImage> {
  const pid = made.pid as Pid;
  const { tree } = await treeAt(store, treeOf(pid), made.seq, CONTEXT);
  const image = await imageOf(code, tree, pid, made);
  const { hash } = made;
  if (image.sha256 !== hash) {
    const state = `its log makes another one (sha256:${image.sha256.slice(0, 12)})`;
    const sentence = `Cannot bring image "${image.ref}" back: ${state}`;
    throw new SysError("EINTEGRITY", `${sentence}, expected sha256:${hash.slice(0, 12)}`);
  }
  const root = tree.state.processes[`p_${tree.state.tree.slice(2)}`];
  return { image, made, labels: root?.labels ?? {} };
}

function isSeenBy(who: Principal, { made, labels }: KnownImage): boolean {
  return made === null || sees(who, labels);
}

/** The images of a server. */
export class ImageBook {
  readonly #runtime: Runtime;
  readonly #given: readonly KnownImage[];
  readonly #list: MadeImages;
  readonly #packages: PackageBook;
  readonly #model: string | undefined;
  readonly #failed: (thrown: unknown) => void;
  readonly #made = new Map<string, Promise<KnownImage | null>>();
  #stamp: string | undefined;
  #records: readonly MadeImage[] = [];

  /** Those given, and those of the list. `failed` hears of each that cannot be brought back. */
  constructor(runtime: Runtime, given: {
    readonly images: readonly AgentImage[];
    /** How their files say to start them, by ref. */
    readonly starts?: Readonly<Record<string, Partial<SpawnOptions>>>;
    readonly file: PrivateFile;
    readonly packages: PackageBook;
    /** The model that images of packages use, in place of the one they were made for. */
    readonly model?: string | undefined;
    readonly failed: (thrown: unknown) => void;
  }) {
    this.#runtime = runtime;
    this.#packages = given.packages;
    this.#model = given.model;
    const { starts = {} } = given;
    this.#given = given.images.map((image) => ({
      image,
      made: null,
      labels: {},
      ...(Object.hasOwn(starts, image.ref) ? { start: starts[image.ref]! } : {}),
    }));
    this.#list = new MadeImages(given.file);
    this.#failed = given.failed;
  }

  /** All that somebody may see (I3). */
  async seen(who: Principal): Promise<readonly KnownImage[]> {
    return (await this.all()).filter((known) => isSeenBy(who, known));
  }

  /** All, those that were given first; the runtime knows those that were made from then on. */
  async all(): Promise<readonly KnownImage[]> {
    const stamp = this.#list.stamp();
    if (stamp !== this.#stamp) {
      this.#records = this.#list.list();
      this.#stamp = stamp;
    }
    const made = await Promise.all([
      ...this.#records.map((record) => this.#bring(record)),
      ...this.#packages.list().map((label) => this.#unpack(label)),
    ]);
    return [...this.#given, ...made.filter((one) => one !== null)];
  }

  /** Keeps a package, unless another image has its name (I1). Throws `EEXIST`, `ELIMIT`. */
  async keep(one: Package, who: Principal): ReturnType<PackageBook["add"]> {
    const ref = packageRef(one.body);
    const known = (await this.all()).find(({ image }) => image.ref === ref);
    if (known !== undefined && known.image.data.package !== one.hash) {
      throw taken(ref, isSeenBy(who, known) ? known.image.sha256 : undefined);
    }
    return await this.#packages.add(one);
  }

  /** The one that a word names: its ref, its hash, or its name when there is one version. */
  async named(who: Principal, word: string): Promise<KnownImage> {
    const all = await this.seen(who);
    const exact = all.find(({ image: { ref, sha256 } }) => ref === word || sha256 === word);
    const named = all.filter(({ image }) => image.data.name === word);
    const [only] = named;
    if (exact !== undefined) return exact;
    if (only === undefined) {
      const known = all.map(({ image }) => image.ref).join(", ") || "none";
      const state = `unknown, expected one of ${known}`;
      throw new SysError("ENOENT", `Cannot find image "${word}": ${state}`);
    }
    if (named.length === 1) return only;
    const versions = named.map(({ image }) => image.ref).join(", ");
    const state = `it has ${named.length} versions, expected one of ${versions}`;
    throw new SysError("EINVAL", `Cannot tell which image "${word}" is: ${state}`);
  }

  /**
   * Makes an image of what a process is now. `isNew` is false where the same image had that name
   * already. Throws `EEXIST`, `ENOSYS`, `ELIMIT`.
   */
  async make(given: {
    readonly pid: Pid;
    readonly name: string;
    readonly version: string;
    readonly who: Principal;
    /** Names the position of the tree. */
    checkpoint(name: string): Promise<{ readonly id: CheckpointId; readonly seq: number }>;
    readonly at: string;
  }): Promise<{ readonly known: KnownImage; readonly isNew: boolean }> {
    const { pid, name, version, who, at } = given;
    const { node } = this.#runtime;
    const tree = await node.open(treeOf(pid));
    const image = await commitImage(node, tree, pid, { name, version });
    const known = (await this.all()).find(({ image: { ref } }) => ref === image.ref);
    if (known !== undefined) {
      if (!isSeenBy(who, known)) throw taken(image.ref);
      if (known.image.sha256 !== image.sha256) throw taken(image.ref, known.image.sha256);
      return { known, isNew: false };
    }
    const { id, seq } = await given.checkpoint(checkpointName(image.ref));
    // Of the position that has the name, whatever the process did since it was looked at.
    const record = { name, version, hash: image.sha256, pid, seq, checkpoint: id, at };
    const past = await treeAt(node.options.store, treeOf(pid), seq, CONTEXT);
    const { sha256 } = await commitImage(node, past.tree, pid, record);
    const isNew = this.#list.add({ ...record, hash: sha256, by: who.name });
    const made = (await this.all()).find(({ image: { ref } }) => ref === image.ref);
    if (made !== undefined) return { known: made, isNew };
    throw new SysError("EIO", `Cannot make image "${image.ref}": it was taken away meanwhile`);
  }

  #bring(record: MadeImage): Promise<KnownImage | null> {
    const key = `${refOf(record)} ${record.hash} ${record.pid} ${record.seq}`;
    const { node } = this.#runtime;
    return this.#once(key, () => madeAgain(node.options.store, codeOf(node), record));
  }

  #unpack(label: Shelved): Promise<KnownImage | null> {
    return this.#once(`package ${label.hash}`, async () => {
      const one = await this.#packages.open(label);
      const compiler = this.#runtime.node.options.world.workshop?.compiler ?? null;
      const image = await imageOfPackage(one, { compiler, model: this.#model });
      const known = { image, made: null, labels: {} };
      if (compiler !== null || one.body.tools.length === 0) return known;
      return { ...known, lacks: "it brings generated tools, expected libos serve --jit" };
    });
  }

  async #once(key: string, make: () => Promise<KnownImage>): Promise<KnownImage | null> {
    const kept = this.#made.get(key);
    if (kept !== undefined) return await kept;
    const bringing = make().then((known) => {
      this.#runtime.register(known.image);
      return known;
    }).catch((thrown) => {
      this.#failed(thrown);
      // What a store could not read just now may be read later; other refusals stay what they are.
      if (!(thrown instanceof SysError) || ERRORS[thrown.code].retry) {
        this.#made.delete(key);
      }
      return null;
    });
    this.#made.set(key, bringing);
    return await bringing;
  }
}
