/**
 * One life of the real soak: a kernel over a store and a workspace in files, by the clock of the
 * machine, with a model behind HTTP. It may be killed at any instant.
 *
 * `soak_real_child.ts FOLDER URL LIFE SIZE`: says "ready" when it goes on, and leaves `ending.json`.
 * @module
 */

import { appendFileSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { openaiCompatibleModel, SqliteStore } from "../mod.ts";
import { VirtualClock } from "../testing.ts";
import { realClock } from "../providers/clock.ts";
import { RootedFiles } from "../providers/files.ts";
import { drive, type Session } from "./soak_place.ts";
import { deskOf, opsOf, person, type SessionSize, talkerBy } from "./soak_session.ts";
import { checkWorld, foldOf, World } from "./world_fixture.ts";

/** The clock of the machine, where time can only be waited for. */
class WallClock extends VirtualClock {
  override now(): number {
    return realClock.now();
  }
  override sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return realClock.sleep(ms, signal);
  }
  override soon(job: () => void): void {
    realClock.soon(job);
  }
  override advance(ms: number): Promise<void> {
    return realClock.sleep(ms);
  }
}

/** The images of a session whose model is at `url`. */
export function imagesAt(url: string, size: SessionSize): Session["images"] {
  const model = openaiCompatibleModel({ url, modelId: "soak", name: "soak" });
  return [deskOf(size), talkerBy(model)];
}

/** What the driver of a session has done, in a file: written before an op and after it. */
function sessionIn(folder: string, parts: Pick<Session, "images" | "ops">): Session {
  const path = `${folder}/session.json`;
  const kept: { next: number; since: number | null } = { next: 0, since: null };
  try {
    Object.assign(kept, JSON.parse(readFileSync(path, "utf8")));
  } catch {
    // The first life.
  }
  const keep = (): void => {
    writeFileSync(`${path}.new`, JSON.stringify(kept));
    renameSync(`${path}.new`, path);
  };
  return {
    ...parts,
    get next() {
      return kept.next;
    },
    set next(next) {
      // One write for both: the op is over.
      Object.assign(kept, { next, since: null });
      keep();
    },
    get since() {
      return kept.since;
    },
    set since(since) {
      if (kept.since === since) return;
      kept.since = since;
      keep();
    },
  };
}

/** Files which note in `done` what was done, once it is. */
async function notedFiles(folder: string): Promise<RootedFiles> {
  const files = await RootedFiles.open(`${folder}/files`);
  const write = files.write.bind(files);
  files.write = async (...given) => {
    await write(...given);
    appendFileSync(`${folder}/done`, `write ${given[0]}\n`);
  };
  return files;
}

if (import.meta.main) {
  const [folder = "", url = "", life = "1", given = "{}"] = Deno.args;
  const size = JSON.parse(given) as SessionSize;
  const images = imagesAt(url, size);
  const store = SqliteStore.open(`${folder}/libos.db`);
  const world = new World({
    store,
    clock: new WallClock(),
    files: await notedFiles(folder) as never,
    images,
    approvals: person(),
    concurrency: 1,
    seed: Number(life),
  });
  await world.os.ps({ all: true });
  console.log(`ready ${Math.round(performance.now())}`);
  await drive(world, sessionIn(folder, { images, ops: opsOf(size) }));
  await checkWorld(world);
  const results: unknown[] = [];
  const broken: string[] = [...await store.check()];
  for (const { tree: id } of await world.os.trees({ all: true })) {
    const { state } = await foldOf(store, id);
    for (const { pid, life: { state: how, ...rest }, journal } of Object.values(state.processes)) {
      if (how !== "ended") broken.push(`${pid} did not end`);
      if (Object.keys(journal).length > 0) broken.push(`${pid} has an open effect`);
      if (!pid.includes(".")) results.push((rest as { readonly outcome?: unknown }).outcome);
    }
  }
  writeFileSync(`${folder}/ending.json`, JSON.stringify({ results, broken }));
  await world.os.close();
  Deno.exit(0);
}
