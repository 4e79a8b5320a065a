/**
 * Sealing: what the trees of a store say is put into its history, and the history is signed.
 *
 * A seal reads the lines that were written since the last one and checks their chain, so that what
 * is broken is never signed. Trees go on meanwhile: what is sealed is what the store had committed
 * when the seal came by.
 *
 * Invariants:
 *   Z1. A history is only continued if a key of the signer signed it, and if it has what the
 *       anchors keep: a store that was set back is not sealed on.
 *   Z2. Leaves and head are stored before an anchor hears of them.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { type Fault, LineWalk } from "../kernel/history.ts";
import type { TreeId } from "../kernel/ids.ts";
import { canonical, sha256 } from "../kernel/json.ts";
import { GENESIS } from "../kernel/log.ts";
import { Frontier, leafHash } from "../kernel/merkle.ts";
import { named } from "../kernel/proof.ts";
import { KeyChain, signedText } from "../kernel/seal.ts";
import type {
  Anchor,
  AuditStore,
  KeyStatement,
  SignedHead,
  Signer,
  StoredHead,
  Stretch,
  Trust,
} from "../kernel/seal.ts";
import type { Store, TreeHead } from "../kernel/store.ts";
import type { Clock } from "../kernel/world.ts";

/** A store and its history. */
export interface Audited {
  readonly store: Store;
  readonly audit: AuditStore;
}

/** What a seal is made with. */
export interface Sealing extends Audited {
  readonly signer: Signer;
  readonly clock: Clock;
  readonly check: Trust["check"];
  readonly anchors?: readonly Anchor[];
}

/** What a seal did. */
export interface Sealed {
  /** The head over all leaves: a new one, or the last when nothing had changed. */
  readonly head: SignedHead;
  /** How many trees had changed. */
  readonly trees: number;
  /** How many lines were sealed. */
  readonly lines: number;
  /** What could not be sealed, since it is not what was written. */
  readonly faults: readonly Fault[];
  /** Why an anchor did not take the head, a sentence each. The next seal tries again. */
  readonly unanchored: readonly string[];
}

/** How much is asked of a store at once. */
export const PAGE = 512;

/** All trees of a store, or those that are live. */
export async function* treesOf(store: Store, live = false): AsyncGenerator<TreeHead> {
  let after: TreeId | undefined;
  while (true) {
    const next = after === undefined ? {} : { after };
    const page = await store.list({ live, limit: PAGE, ...next });
    yield* page;
    after = page.at(-1)?.tree;
    if (after === undefined || page.length < PAGE) return;
  }
}

/**
 * Seals every tree whose log has grown since the last seal, and signs the history. Throws `ESTALE`
 * when another sealed meanwhile, and `EINTEGRITY` when the history itself was changed. A tree that
 * was changed is left out and told of, so that it does not keep the others from being sealed.
 */
export async function seal(parts: Sealing): Promise<Sealed> {
  const { store, audit, clock, signer, anchors = [] } = parts;
  const last = await audit.last();
  const frontier = resumed(last, parts);
  await refuseSetBack(audit, anchors);
  const at = Math.max(clock.now(), last?.head.at ?? 0);
  const leaves: string[] = newKeys(last, signer).map((key) => canonical(key));
  const faults: Fault[] = [];
  let [trees, lines] = [0, 0];
  for await (const head of treesOf(store)) {
    const prior = (await audit.latest(head.tree))?.stretch;
    const stretch = await stretchOf(store, head, { prior, at });
    if (stretch === null) continue;
    if ("why" in stretch) {
      faults.push(stretch);
      continue;
    }
    leaves.push(canonical(stretch));
    trees += 1;
    lines += stretch.seq - stretch.from;
  }
  let head = last?.head;
  if (leaves.length > 0 || head === undefined) {
    for (const leaf of leaves) frontier.append(leafHash(leaf));
    head = signHead(signer, { size: frontier.size, root: frontier.root(), at });
    await audit.append(leaves, head, frontier.peaks);
  }
  return { head, trees, lines, faults, unanchored: await anchor(anchors, head) };
}

/** The frontier of the history so far, checked: its root is one that a key of the signer signed. */
function resumed(last: StoredHead | undefined, { signer, check }: Sealing): Frontier {
  if (last === undefined) return new Frontier();
  const chain = new KeyChain({ keys: [], check });
  for (const key of signer.keys) chain.add(key);
  const refused = chain.refuses(last.head);
  if (refused !== null) {
    const sentence = `Cannot seal the store: of its last head, ${refused}`;
    throw new SysError("EINTEGRITY", `${sentence}, expected a head of history "${signer.log}"`);
  }
  const frontier = Frontier.from(last.head.size, last.peaks);
  if (frontier?.root() === last.head.root) return frontier;
  throw new SysError("EINTEGRITY", "Cannot seal the store: its frontier is not what was signed");
}

/** Refuses a history which has lost what an anchor keeps. An anchor out of reach is passed over. */
async function refuseSetBack(audit: AuditStore, anchors: readonly Anchor[]): Promise<void> {
  for (const one of anchors) {
    const kept = await one.latest().catch(passOver);
    if (kept === undefined) continue;
    const [head] = await audit.heads(kept.size - 1, 1);
    if (head?.size === kept.size && head.root === kept.root) continue;
    const sentence = `Cannot seal the store: ${one.name} has a head of ${kept.size} leaves`;
    throw new SysError("EINTEGRITY", `${sentence}, expected the store to have it too`);
  }
}

function passOver(thrown: unknown): undefined {
  if (!(thrown instanceof SysError)) throw thrown;
}

/** Keys that are not yet in the history. */
function newKeys(last: StoredHead | undefined, { keys }: Signer): readonly KeyStatement[] {
  return keys.slice(keys.findIndex(({ key }) => key === last?.head.key) + 1);
}

function signHead(
  signer: Signer,
  { size, root, at }: { readonly size: number; readonly root: string; readonly at: number },
): SignedHead {
  const key = signer.keys.at(-1)!.key;
  const statement = { type: "libos.head/1", log: signer.log, size, root, at, key } as const;
  return { ...statement, sig: signer.sign(signedText(statement)) };
}

async function anchor(anchors: readonly Anchor[], head: SignedHead): Promise<string[]> {
  const failed: string[] = [];
  for (const one of anchors) {
    try {
      await one.put(head);
    } catch (thrown) {
      passOver(thrown);
      failed.push((thrown as SysError).message);
    }
  }
  return failed;
}

/** What is new in a tree since its last stretch; null for nothing, a fault for what was changed. */
async function stretchOf(
  store: Store,
  end: TreeHead,
  { prior, at }: { readonly prior: Stretch | undefined; readonly at: number },
): Promise<Stretch | Fault | null> {
  const { tree, seq, head } = end;
  const after = { seq: prior?.seq ?? 0, head: prior?.head ?? GENESIS };
  if (seq === after.seq && head === after.head) return null;
  if (seq <= after.seq) {
    return { tree, seq, leaf: null, why: `the log ends there, ${after.seq} lines were sealed` };
  }
  const hashes = new Frontier();
  const walk = new LineWalk(tree, [], after);
  const fault = await walkStore(store, end, walk, (hash) => hashes.append(hash));
  if (fault !== null) return fault;
  return { type: "libos.seal/1", tree, from: after.seq, seq, head, lines: hashes.root(), at };
}

/** Walks on to the end of a tree; `each` hears the hash of every line, and may be waited for. */
export async function walkStore(
  store: Store,
  end: TreeHead,
  walk: LineWalk,
  each?: (hash: string) => Promise<void> | void,
): Promise<Fault | null> {
  const { tree } = end;
  try {
    for await (const batch of store.read(tree, walk.seq + 1)) {
      // Written since the head was read.
      if (batch.seq > end.seq) break;
      for (let i = Math.max(0, walk.seq + 1 - batch.seq); i < batch.lines.length; i++) {
        const fault = walk.push(batch.lines[i]!);
        if (fault !== null) return fault;
        await each?.(walk.head);
      }
      for (const [hash, text] of batch.payloads) {
        if (sha256(text) === hash) continue;
        const place = batch.lines.findIndex((line) => named(line).has(hash));
        return { tree, seq: batch.seq + place, leaf: null, why: "a payload of it was changed" };
      }
    }
  } catch (thrown) {
    // Some stores find out by themselves.
    if (!(thrown instanceof SysError) || thrown.code !== "EINTEGRITY") throw thrown;
    return { tree, seq: walk.seq + 1, leaf: null, why: thrown.message };
  }
  return walk.finish(end);
}
