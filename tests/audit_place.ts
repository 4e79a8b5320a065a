/**
 * A folder with a store under seal, for claims about runtimes and anchors.
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import {
  type AuditOptions,
  createRuntime,
  defineImage,
  type Runtime,
  type SignedHead,
  SqliteStore,
  type SysError,
} from "../mod.ts";
import { VirtualClock } from "../testing.ts";

const START_MS = 1_700_000_000_000;

/** A process that waits for messages until one says "end". */
export const image = defineImage({
  name: "worker",
  program: async ({ sys }) => {
    for (;;) {
      const { messages } = await sys.message.receive({});
      if (messages[0]!.data === "end") await sys.process.exit({ result: "done" });
    }
  },
});

/** A folder with a store, and runtimes over it. */
export class Place implements AsyncDisposable {
  readonly clock = new VirtualClock(START_MS);
  readonly faults: SysError[] = [];
  readonly folder: string;
  readonly #open: Runtime[] = [];

  constructor(folder: string) {
    this.folder = folder;
  }

  static async make(): Promise<Place> {
    return new Place(await Deno.makeTempDir({ prefix: "libos-audit-" }));
  }

  get db(): string {
    return `${this.folder}/libos.db`;
  }

  async open(audit: AuditOptions = {}, db = this.db): Promise<Runtime> {
    const os = await createRuntime({
      store: db,
      workspace: null,
      approvals: "queue",
      images: [image],
      clock: this.clock,
      audit: { onFault: (fault) => this.faults.push(fault), ...audit },
    });
    this.#open.push(os);
    return os;
  }

  /** Changes the file behind everybody's back. */
  sql(text: string): void {
    const db = new DatabaseSync(this.db);
    db.exec(text);
    db.close();
  }

  async heads(): Promise<readonly SignedHead[]> {
    const store = SqliteStore.open(this.db, { mode: "read" });
    try {
      return await store.audit().heads(0, 100);
    } finally {
      await store.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const os of this.#open) await os.close().catch(() => {});
    await Deno.remove(this.folder, { recursive: true });
  }
}
