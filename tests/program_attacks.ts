/**
 * Attacks of programs: what each tries, and what it is told.
 * @module
 */

import { allow, type Rule } from "../mod.ts";

/** Files by path. */
export type Files = Readonly<Record<string, string>>;

/** Rights to look. */
export const READS = ["file.read", "file.list", "file.stat"];
/** Rights to change. */
export const CHANGES = ["file.write", "file.mkdir", "file.move", "file.remove"];

/** Rights to look at, or to change, all of a folder. */
export function rights(names: readonly string[], resource: string): Rule[] {
  return names.map((name) => allow(name, resource));
}

/** A program that tries something and says what came of it. */
export function tries(body: string): Files {
  return {
    "main.ts": `const say = (what: unknown) => console.log(JSON.stringify(what));
try { say(await (async () => { ${body} })()); } catch (e) { say({ error: (e as Error).message }); }`,
  };
}

/** One attack. */
export interface Attack {
  readonly name: string;
  readonly body: string;
  readonly files?: Files;
  /** What its process holds besides running and reading. */
  readonly grants?: readonly Rule[];
  readonly policy?: string;
  /** What it is told. */
  readonly says: RegExp;
}

/** What none of them may say. */
export const SECRET = "the secret words";
const KEPT = `deny file.read(./kept/**) because it is kept`;

/** All attacks. */
export const ATTACKS: readonly Attack[] = [
  {
    name: "reads what a rule denies",
    body: `return Deno.readTextFileSync("kept/k.txt")`,
    policy: KEPT,
    says: /rule "deny file\.read\(\.\/kept\/\*\*\)" refuses .* because it is kept/,
  },
  {
    name: "imports what a rule denies, which Deno asks nobody about",
    body: `return await import("./kept/k.json", { with: { type: "json" } })`,
    files: { "kept/k.json": `{"secret":"${SECRET}"}` },
    policy: KEPT,
    says: /kept\/k\.json|Module not found/,
  },
  {
    name: "imports as text what a rule only asks about",
    body: `return (await import("./kept/k.txt", { with: { type: "text" } })).default`,
    policy: "ask file.read(./kept/**)",
    says: /kept\/k\.txt|Module not found|unstable/,
  },
  {
    name: "reads a file of the machine",
    body: `return Deno.readTextFileSync("/etc/hostname")`,
    says: /not in the workspace/,
  },
  {
    name: "climbs out of the workspace",
    body: `return Deno.readTextFileSync("x/../../../../etc/hostname")`,
    says: /not in the workspace/,
  },
  {
    name: "reads over a link that is there",
    body: `return Deno.readTextFileSync("link")`,
    says: /leads over a link/,
  },
  {
    name: "hides a link before two dots",
    body: `return Deno.readTextFileSync("linked/../k.txt")`,
    says: /leads over a link/,
  },
  {
    name: "makes a link",
    body: `return Deno.symlinkSync("kept/k.txt", "own/l")`,
    grants: rights(CHANGES, "./own/**"),
    says: /any file, expected one at a time/,
  },
  {
    name: "gives a kept file a second name",
    body: `return Deno.linkSync("kept/k.txt", "own/l")`,
    grants: rights(CHANGES, "./own/**"),
    policy: KEPT,
    says: /refuses|no capability/,
  },
  {
    name: "leaves its folder, so that paths would mean something else",
    body: `Deno.chdir("own"); return Deno.cwd()`,
    says: /not permitted/,
  },
  {
    name: "leaves its folder on another thread",
    body: `const code = "try { process.chdir('own') } catch (e) { postMessage(e.message) }";
      const url = "data:text/javascript," + encodeURIComponent("import process from 'node:process';" + code);
      const worker = new Worker(url, { type: "module" });
      const said = await new Promise((done) => { worker.onmessage = (e) => done(e.data);
        worker.onerror = (e) => { e.preventDefault(); done(e.message); }; });
      worker.terminate(); throw new Error(said as string);`,
    says: /not permitted|not supported|not available/,
  },
  {
    name: "writes where its process may only read",
    body: `return Deno.writeTextFileSync("a.txt", "x")`,
    says: /no capability of .* covers file\.write\(\.\/a\.txt\)/,
  },
  {
    name: "removes where its process may only write",
    body: `return Deno.removeSync("own/o.txt")`,
    grants: [allow("file.write", "./own/**")],
    says: /no capability of .* covers file\.mkdir/,
  },
  {
    name: "writes with a right for some arguments, which are another call's",
    body: `return Deno.writeTextFileSync("own/o.txt", "x".repeat(100))`,
    grants: [
      allow("file.write", "./own/**", { constraint: { type: "object" } }),
      ...rights(CHANGES.slice(1), "./own/**"),
    ],
    says: /no capability of .* covers file\.write/,
  },
  {
    name: "starts a program",
    body: `return new Deno.Command("/bin/cat", { args: ["a.txt"] }).outputSync()`,
    says: /starts no other/,
  },
  {
    name: "starts a program as Node does",
    body: `const { spawnSync } = await import("node:child_process");
const { stdout } = spawnSync("/bin/cat", ["a.txt"]);
      throw new Error(stdout === undefined ? "nothing ran" : "it ran");`,
    says: /^nothing ran$/,
  },
  {
    name: "loads a library of the machine",
    body: `return Deno.dlopen("libc.so.6", {})`,
    says: /loads no library|FFI|not in the workspace/,
  },
  {
    name: "connects to this machine",
    body: `return await Deno.connect({ port: 1 })`,
    says: /no capability of .* covers net\.connect\(0\.0\.0\.0:1\)|covers net\.connect/,
  },
  {
    name: "imports from the net",
    body: `return await import("https://" + "example.com/x.ts")`,
    says: /imports none from elsewhere|no-remote|remote specifier/,
  },
  {
    name: "talks to the broker's socket itself",
    body: `const path = Deno.env.get("DENO_PERMISSION_BROKER_PATH")!;
      return await Deno.connect({ transport: "unix", path } as never)`,
    says: /any file|no capability|refuses|covers/,
  },
  {
    name: "asks for a name of the machine",
    body: `return Deno.hostname()`,
    says: /no capability of .* covers program\.sys\(hostname\)/,
  },
  {
    name: "signals another process",
    body: `return Deno.kill(1, "SIGKILL")`,
    says: /starts no other|any program|not permitted|no capability/,
  },
];
