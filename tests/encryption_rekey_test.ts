/**
 * Stores that are encrypted when they are there already, and keys that are changed.
 * @module
 */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { encryptStore, rekeyStore, storeEncryption } from "../mod.ts";
import { sha256 } from "../kernel/json.ts";
import { archiveOf } from "../kernel/store.ts";
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
import { batchOf, item, linesOf, LIVE, picture, readAll, rejects } from "./store_fixture.ts";

Deno.test("encryptStore() keeps all of a store, and leaves nothing plain in its files", () =>
  withFolder(async (folder) => {
    const path = `${folder}/libos.db`;
    const plain = await open(path);
    await fill(plain, 600);
    // What was deleted long ago lies in free pages.
    const old = JSON.stringify("marker-old ".repeat(2_000));
    const summary = { ...LIVE, title: "marker-title", key: "marker-key" };
    const blobs = new Map([[sha256(old), old]]);
    await plain.commit([batchOf("t_1", { seq: 601, blobs, summary })]);
    const before = await picture(plain, ["t_1"]);
    await plain.close();
    tamper(path, (db) => db.exec(`DELETE FROM blobs WHERE hash = '${sha256(old)}'`));
    assert(found(folder, ["marker-old"]).length > 0);
    const state = encryptStore(path, KEY);
    assert.deepEqual([state.key, state.clean], [KEY.id, true]);
    assert.deepEqual(storeEncryption(path), state);
    assert.deepEqual(found(folder, [...MARKS, "marker-old"]), []);
    const store = await open(path, KEY);
    assert.deepEqual(await store.check(), []);
    assert.deepEqual(await picture(store, ["t_1"]), before);
    assert.equal(await store.getBlob(sha256(VALUE)), VALUE);
    const gone = store.getBlob(sha256(JSON.stringify("marker-value gone")));
    assert.match((await rejects(gone, "ENOENT")).message, /: marker-note$/);
    assert.deepEqual(await store.create("marker-key"), { tree: "t_1", created: false });
    await store.close();
    const again = await rejects(Promise.resolve().then(() => encryptStore(path, KEY)), "ESTATE");
    assert.match(again.message, /it is encrypted under key/);
  }));

Deno.test("What a reader keeps in the file while it is encrypted goes when it has closed", () =>
  withFolder(async (folder) => {
    const path = `${folder}/libos.db`;
    const plain = await open(path);
    await fill(plain, 50);
    await plain.close();
    const reader = await open(path, undefined, "read");
    const joined = await open(path, undefined, "join");
    const holder = new DatabaseSync(path);
    holder.exec("BEGIN");
    assert.equal(holder.prepare("SELECT count(*) AS n FROM batches").get()!["n"], 50);
    assert.deepEqual(encryptStore(path, KEY).clean, false);
    assert(found(folder, MARKS).length > 0);
    holder.close();
    // Who opened it as a plain store neither reads what is cipher nor writes what is plain.
    await rejects(readAll(reader, "t_1"), "ESTALE");
    await rejects(joined.putInbox("t_1", item("late")), "ESTALE");
    await reader.close();
    await joined.close();
    const store = await open(path, KEY);
    await store.close();
    assert.equal(storeEncryption(path).clean, true);
    assert.deepEqual(found(folder, MARKS), []);
  }));

Deno.test("rekeyStore() takes another key at once, and all anew when asked", () =>
  withFolder(async (folder) => {
    const path = `${folder}/libos.db`;
    const store = await open(path, KEY);
    await fill(store, 50);
    const before = await picture(store, ["t_1"]);
    await store.close();
    const first = storeEncryption(path);
    const tried = (job: () => unknown) => Promise.resolve().then(job);
    await rejects(tried(() => rekeyStore(path, { from: [], to: OTHER })), "EACCES");
    const wrapped = rekeyStore(path, { from: [KEY], to: OTHER });
    assert.deepEqual(wrapped, { ...first, key: OTHER.id });
    // The same again changes nothing, whichever keys are given.
    assert.deepEqual(rekeyStore(path, { from: [KEY], to: OTHER }), wrapped);
    await rejects(open(path, KEY), "EACCES");
    const joined = await open(path, OTHER, "join");
    const reader = await open(path, OTHER, "read");
    const renewed = rekeyStore(path, { from: [OTHER], to: KEY, rewrite: true });
    assert.notEqual(renewed.data, first.data);
    // Who holds the data key of before hears that there is another, and writes nothing under it.
    await rejects(joined.putInbox("t_1", item("late")), "ESTALE");
    await rejects(readAll(reader, "t_1"), "ESTALE");
    await joined.close();
    await reader.close();
    await rejects(open(path, OTHER), "EACCES");
    const again = await open(path, [OTHER, KEY]);
    assert.deepEqual(await picture(again, ["t_1"]), before);
    assert.deepEqual(await again.check(), []);
    assert.equal((await archiveOf(again).blobs("", 9)).length, 1);
    await again.close();
    assert.deepEqual(found(folder, MARKS), []);
  }));

Deno.test("A store with a changed cell is not encrypted anew, and is left as it was", () =>
  withFolder(async (folder) => {
    const path = `${folder}/libos.db`;
    const store = await open(path, KEY);
    await fill(store);
    await store.close();
    tamper(path, (db) => db.exec("UPDATE snapshots SET state = zeroblob(60)"));
    const state = storeEncryption(path);
    const tried = Promise.resolve()
      .then(() => rekeyStore(path, { from: [KEY], to: OTHER, rewrite: true }));
    await rejects(tried, "EINTEGRITY");
    assert.deepEqual(storeEncryption(path), state);
    const again = await open(path, KEY);
    assert.equal((await linesOf(again, "t_1")).length, 3);
    await again.close();
  }));
