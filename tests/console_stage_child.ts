/**
 * The first life of the store that pictures are taken of: the demo, then a write that never comes
 * back. Whoever started it kills it: `console_stage_child.ts FOLDER DB`.
 * @module
 */

import { allow, SqliteStore } from "../mod.ts";
import { runDemo } from "../demos/audit.ts";
import { scripted } from "../demos/audit_person.ts";
import { RootedFiles } from "../providers/files.ts";
import { Runtime } from "../runtime/runtime.ts";
import { bookkeeper } from "./console_stage.ts";

const [folder = "", db = ""] = Deno.args;
const out = (): void => {};
await runDemo({ folder, store: db, person: scripted(out), out });
const files = await RootedFiles.open(folder);
const write = files.write.bind(files);
files.write = async (path, ...rest) => {
  await write(path, ...rest);
  console.log("written");
  await new Promise(() => setInterval(() => {}, 60_000));
};
const runtime = new Runtime({
  options: { approvals: "queue" },
  store: await SqliteStore.open(db),
  files,
  workshop: null,
  alone: true,
});
runtime.start();
await runtime.spawn(bookkeeper, {
  goal: "Enter the landing fee",
  grants: [allow("file.*", "./**")],
});
