/**
 * Encrypted stores under attack: nothing readable in the file, nothing readable that was changed,
 * nothing opened without its key.
 * @module
 */

import assert from "node:assert/strict";
import { SysError } from "../mod.ts";
import { SqliteStore, StoreKey } from "../mod.ts";
import { sha256 } from "../kernel/json.ts";
import type { Store } from "../kernel/store.ts";
import {
  fill,
  found,
  KEY,
  MARKS,
  open,
  OTHER,
  tamper,
  VALUE,
  withFolder,
} from "./encryption_place.ts";
import { batchOf, item, linesOf, readAll, rejects } from "./store_fixture.ts";

Deno.test("No content of an encrypted store is in any of its files, open or closed", () =>
  withFolder(async (folder) => {
    const path = `${folder}/libos.db`;
    const store = await open(path, KEY);
    await fill(store);
    assert(found(folder, ["libO"]).length > 0);
    assert.deepEqual(found(folder, MARKS), []);
    await store.close();
    assert.deepEqual(found(folder, MARKS), []);
    // The search finds what is there: the same in a plain store.
    await Deno.mkdir(`${folder}/plain`);
    const plain = await open(`${folder}/plain/libos.db`);
    await fill(plain);
    await plain.close();
    assert.equal(found(`${folder}/plain`, MARKS).length, MARKS.length);
  }));

/** Reads everything of a store of {@linkcode fill}, each in its own way. */
const READS: { readonly [what: string]: (store: Store) => Promise<unknown> } = {
  lines: (store) => readAll(store, "t_1"),
  value: (store) => store.getBlob(sha256(VALUE)),
  item: (store) => store.getInbox("t_1"),
  snapshot: (store) => store.getSnapshot("t_1"),
  note: (store) => store.getBlob(sha256(JSON.stringify("marker-value gone"))),
};

/** Cell → its table and column, and which read meets it. */
const CELLS: readonly (readonly [keyof typeof READS, string, string])[] = [
  ["lines", "batches", "body"],
  ["value", "blobs", "body"],
  ["item", "inbox", "body"],
  ["snapshot", "snapshots", "state"],
  ["note", "gone", "note"],
];

Deno.test("A cell with a byte flipped, cut, emptied or lengthened is EINTEGRITY", () =>
  withFolder(async (folder) => {
    const path = `${folder}/libos.db`;
    const store = await open(path, KEY);
    await fill(store);
    await store.close();
    const changes: ((cell: Uint8Array) => Uint8Array)[] = [
      // The format, the salt, the nonce, the text, the tag.
      ...[0, 1, 16, 17, 28, 29, -17, -16, -1].map((at) => (cell: Uint8Array) => {
        const copy = cell.slice();
        const place = at < 0 ? copy.length + at : at;
        copy[place]! ^= 1;
        return copy;
      }),
      (cell) => cell.subarray(0, -1),
      (cell) => cell.subarray(0, -12),
      (cell) => cell.subarray(0, 45),
      (cell) => cell.subarray(0, 29),
      () => new Uint8Array(),
      (cell) => new Uint8Array([...cell, 0]),
      () => new TextEncoder().encode('{"at":1}'),
    ];
    for (const [what, table, column] of CELLS) {
      for (const change of changes) {
        const copy = `${folder}/copy.db`;
        await Deno.copyFile(path, copy);
        tamper(copy, (db) => {
          const row = db.prepare(`SELECT ${column} AS cell FROM ${table}`).get();
          const cell = change(row!["cell"] as Uint8Array);
          db.prepare(`UPDATE ${table} SET ${column} = ?`).run(cell);
        });
        const opened = await open(copy, KEY, "read");
        const error = await rejects(READS[what]!(opened), "EINTEGRITY");
        if (what === "lines") assert.deepEqual(error.detail, { kind: what, tree: "t_1", seq: 1 });
        assert((await opened.check()).length > 0, column);
        await opened.close();
      }
    }
  }));

Deno.test("SQLite refuses a plain text where an encrypted store has content", () =>
  withFolder(async (folder) => {
    const path = `${folder}/libos.db`;
    const store = await open(path, KEY);
    await fill(store);
    await store.close();
    for (const [table, column] of [["trees", "title"], ...CELLS.map(([, t, c]) => [t, c])]) {
      tamper(path, (db) => {
        const update = db.prepare(`UPDATE ${table} SET ${column} = 'plain'`);
        assert.throws(() => update.run(), /cannot store TEXT value in BLOB column/);
      });
    }
  }));

Deno.test("A cell in another's place is EINTEGRITY, in its tree, of its kind or of its store", () =>
  withFolder(async (folder) => {
    const [path, other] = [`${folder}/libos.db`, `${folder}/other.db`];
    for (const each of [path, other]) {
      const store = await open(each, KEY);
      await fill(store);
      const { tree } = await store.create(null);
      for (const seq of [1, 2, 3]) await store.commit([batchOf(tree, { seq })]);
      await store.putInbox(tree, item("i"));
      await store.putSnapshot(tree, { seq: 2, head: "", state: "{}" });
      await store.close();
    }
    const swaps = [
      ["lines", "UPDATE batches SET body = (SELECT body FROM batches WHERE tree = 1 AND seq = 2)"],
      [
        "lines",
        "UPDATE batches SET body = (SELECT b.body FROM batches AS b " +
        "WHERE b.tree = 2 AND b.seq = batches.seq) WHERE tree = 1",
      ],
      ["lines", "UPDATE batches SET body = (SELECT state FROM snapshots)"],
      [
        "lines",
        "UPDATE batches SET body = (SELECT b.body FROM other.batches AS b " +
        "WHERE b.id = batches.id)",
      ],
      ["item", "UPDATE inbox SET body = (SELECT body FROM inbox WHERE tree = 2)"],
      ["snapshot", "UPDATE snapshots SET state = (SELECT state FROM snapshots WHERE tree = 2)"],
      ["snapshot", "UPDATE snapshots SET state = (SELECT state FROM other.snapshots)"],
      ["value", "UPDATE blobs SET body = (SELECT note FROM gone)"],
      ["value", "UPDATE blobs SET body = (SELECT body FROM other.blobs)"],
      ["note", "UPDATE gone SET note = (SELECT body FROM blobs)"],
    ] as const;
    for (const [what, sql] of swaps) {
      const copy = `${folder}/copy.db`;
      await Deno.copyFile(path, copy);
      tamper(copy, (db) => {
        db.exec(`ATTACH '${other}' AS other`);
        db.exec(sql);
      });
      const opened = await open(copy, KEY, "read");
      await rejects(READS[what]!(opened), "EINTEGRITY");
      assert((await opened.check()).length > 0, sql);
      await opened.close();
    }
  }));

Deno.test("A title that was changed hides no other tree, and is written anew by its own", () =>
  withFolder(async (folder) => {
    const path = `${folder}/libos.db`;
    const store = await open(path, KEY);
    await fill(store);
    await store.create(null);
    await store.close();
    tamper(path, (db) => db.exec("UPDATE trees SET title = x'00' WHERE id = 1"));
    const again = await open(path, KEY);
    const titles = async () => (await again.list({ limit: 9 })).map(({ summary }) => summary.title);
    assert.deepEqual(await titles(), ["(damaged)", ""]);
    assert.match((await again.check())[0]!, /^The title of tree "t_1"/);
    const summary = { live: true, title: "told again", key: null, ready: false };
    await again.commit([batchOf("t_1", { seq: 4, summary })]);
    assert.deepEqual(await titles(), ["told again", ""]);
    assert.deepEqual(await again.check(), []);
    await again.close();
  }));

Deno.test("An encrypted store opens with its key alone, and is left as it was otherwise", () =>
  withFolder(async (folder) => {
    const path = `${folder}/libos.db`;
    const store = await open(path, KEY);
    await fill(store);
    await store.close();
    const before = await Deno.readFile(path);
    for (const mode of ["own", "join", "read"] as const) {
      const bare = await rejects(open(path, undefined, mode), "EACCES");
      assert.match(
        bare.message,
        /encrypted under key "[0-9a-f]{16}", and no key was given, expected/,
      );
      assert.match(bare.message, /--store-key FILE or LIBOS_KEY$/);
      const wrong = await rejects(open(path, OTHER, mode), "EACCES");
      assert.match(wrong.message, new RegExp(`and not with "${OTHER.id}", expected its key`));
      for (const { message } of [bare, wrong]) assert(!message.includes("5e5e"), message);
      await rejects(open(path, [], mode), "EINVAL");
    }
    assert.deepEqual(await Deno.readFile(path), before);
    for (const keys of [KEY, [OTHER, KEY]]) {
      const opened = await open(path, keys, "read");
      assert.equal((await linesOf(opened, "t_1")).length, 3);
      await opened.close();
    }
  }));

Deno.test("A plain store is refused with a key, and left as it was", () =>
  withFolder(async (folder) => {
    const path = `${folder}/libos.db`;
    const store = await open(path);
    await fill(store);
    await store.close();
    const before = await Deno.readFile(path);
    for (const mode of ["own", "join", "read"] as const) {
      const error = await rejects(open(path, KEY, mode), "ESTATE");
      assert.match(error.message, /it is plain, expected an encrypted one; libos store encrypt/);
    }
    assert.deepEqual(await Deno.readFile(path), before);
  }));

Deno.test("A vault that was changed, or is another store's, opens nothing", () =>
  withFolder(async (folder) => {
    const [path, other] = [`${folder}/libos.db`, `${folder}/other.db`];
    for (const each of [path, other]) {
      const store = await open(each, KEY);
      await fill(store);
      await store.close();
    }
    const take = (columns: string) =>
      `UPDATE vault SET (${columns}) = (SELECT ${columns} FROM other.vault)`;
    const changes: readonly (readonly [string, RegExp | null])[] = [
      [take("wrapped"), /its data key is not what key "[0-9a-f]{16}" wrapped for it/],
      [take("store"), /its data key is not what/],
      ["UPDATE vault SET wrapped = x'00'", /its data key is not what/],
      ["DELETE FROM vault", /its vault is empty/],
      // A whole vault of another store opens, and then nothing in this one can be read.
      [take("store, key, data, wrapped"), null],
    ];
    for (const [sql, says] of changes) {
      const copy = `${folder}/copy.db`;
      await Deno.copyFile(path, copy);
      tamper(copy, (db) => {
        db.exec(`ATTACH '${other}' AS other`);
        db.exec(sql);
      });
      if (says !== null) {
        assert.match((await rejects(open(copy, KEY, "read"), "EINTEGRITY")).message, says);
        continue;
      }
      const opened = await open(copy, KEY, "read");
      await rejects(readAll(opened, "t_1"), "EINTEGRITY");
      await opened.close();
    }
  }));

Deno.test("No two cells have the same salt and nonce, and every writer has a salt of its own", () =>
  withFolder(async (folder) => {
    const path = `${folder}/libos.db`;
    const heads = new Set<string>();
    const salts = new Set<string>();
    for (let writer = 0; writer < 3; writer++) {
      const store = await open(path, KEY);
      const { tree } = await store.create(null);
      for (let seq = 1; seq <= 200; seq++) await store.commit([batchOf(tree, { seq })]);
      await store.close();
    }
    tamper(path, (db) => {
      const rows = db.prepare("SELECT body AS cell FROM batches UNION ALL SELECT title FROM trees");
      for (const { cell } of rows.all() as { cell: Uint8Array }[]) {
        heads.add(cell.subarray(1, 29).toHex());
        salts.add(cell.subarray(1, 17).toHex());
      }
    });
    assert.deepEqual([heads.size, salts.size], [603, 3]);
  }));

Deno.test("A key file is made for its owner alone, and refused when others may read it", () =>
  withFolder(async (folder) => {
    const path = `${folder}/k`;
    const { id } = StoreKey.create(path);
    assert.match(id, /^[0-9a-f]{16}$/);
    assert.equal(StoreKey.load(path).id, id);
    if (Deno.build.os !== "windows") assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    const tried = <T>(job: () => T) => new Promise<T>((resolve) => resolve(job()));
    await rejects(tried(() => StoreKey.create(path)), "EEXIST");
    await rejects(tried(() => StoreKey.load(`${folder}/absent`)), "ENOENT");
    const secret = "ab".repeat(31);
    for (const text of [secret, "", `${secret}zz`]) {
      const { message } = await rejects(tried(() => StoreKey.of(text)), "EINVAL");
      assert(!message.includes("abab"), message);
    }
    if (Deno.build.os === "windows") return;
    for (const mode of [0o640, 0o604, 0o644]) {
      await Deno.chmod(path, mode);
      const error = await rejects(tried(() => StoreKey.load(path)), "EACCES");
      assert.match(error.message, /expected 600$/);
    }
  }));

Deno.test("An error of the store names no key and no content", () =>
  withFolder(async (folder) => {
    const store = SqliteStore.open(`${folder}/libos.db`, { encryption: KEY });
    await fill(store);
    const thrown: unknown = await store.create(null).then(() =>
      store.commit([batchOf("t_2", {
        payloads: new Map([["h", "marker\n"]]),
      })])
    ).catch((error) => error);
    assert(thrown instanceof SysError && !thrown.message.includes("marker"));
    await store.close();
  }));
