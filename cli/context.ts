/**
 * `context`: servers by name.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { Command, Context } from "./command.ts";
import { changeContexts, contextNamed, LOCAL, readContexts } from "./context_file.ts";
import { EXIT, UsageError } from "./exit.ts";
import { list, show } from "./output.ts";
import { connected } from "./reach.ts";

/** `context`. */
export const context: Command = {
  name: "context",
  group: "start",
  usage: "ls | add NAME --host URL --token TOKEN | use NAME|local | rm NAME",
  about: "Keep servers by name, and say which one commands speak to",
  examples: [
    "libos context add team --host https://libos.example.com --token libos_…",
    "libos context use team",
  ],
  options: {},
  words: [0, 2],
  remote: "none",
  run(at) {
    const [verb = "ls", name] = at.words;
    if (verb === "ls" && name === undefined) return Promise.resolve(ls(at));
    if (verb === "add" && name !== undefined) return Promise.resolve(add(at, name));
    if (verb === "use" && name !== undefined) return Promise.resolve(use(at, name));
    if (verb === "rm" && name !== undefined) return Promise.resolve(remove(at, name));
    throw new UsageError(`Cannot run "context ${at.words.join(" ")}": expected ${context.usage}`);
  },
};

function ls(at: Context): number {
  const { current, contexts } = readContexts(at);
  const rows = [
    { name: LOCAL, url: "the store here", current: current === LOCAL },
    ...Object.entries(contexts).map(([name, { url }]) => ({
      name,
      url,
      current: current === name,
    })),
  ];
  list(at, rows, {
    columns: [
      { head: "", of: (row) => row.current ? "*" : "" },
      { head: "NAME", of: ({ name }) => name },
      { head: "URL", of: ({ url }) => url },
    ],
    name: ({ name }) => name,
    none: "No contexts",
  });
  return EXIT.ok;
}

function add(at: Context, name: string): number {
  const url = at.flags.text("host") ?? at.io.env("LIBOS_HOST");
  const token = at.flags.text("token") ?? at.io.env("LIBOS_TOKEN");
  if (!/^[\w.@-]{1,64}$/.test(name) || name === LOCAL) {
    const expected = `expected letters, digits, _, ., @ and -, and not "${LOCAL}"`;
    throw new UsageError(`Cannot name a context "${name}": ${expected}`);
  }
  if (url === undefined || token === undefined) {
    throw new UsageError(`Cannot add context "${name}": expected --host URL and --token TOKEN`);
  }
  const { url: origin } = connected(url, token);
  changeContexts(at, (kept) => ({
    ...kept,
    contexts: { ...kept.contexts, [name]: { url: origin, token } },
  }));
  show(at, { name, url: origin }, {
    name,
    lines: [`${name} is ${origin}`, `Speak to it with: libos context use ${name}`],
  });
  return EXIT.ok;
}

function use(at: Context, name: string): number {
  changeContexts(at, (kept) => {
    if (name !== LOCAL) contextNamed(kept, name);
    return { ...kept, current: name };
  });
  const what = name === LOCAL ? "the store here" : readContexts(at).contexts[name]!.url;
  show(at, { current: name }, { name, lines: [`Commands speak to ${what} now`] });
  return EXIT.ok;
}

function remove(at: Context, name: string): number {
  if (name === LOCAL) throw new SysError("EINVAL", `Cannot remove "${LOCAL}": it is no server`);
  changeContexts(at, (kept) => {
    contextNamed(kept, name);
    const { [name]: _, ...contexts } = kept.contexts;
    return { ...kept, current: kept.current === name ? LOCAL : kept.current, contexts };
  });
  show(at, { removed: name }, { name, lines: [`${name} is forgotten`] });
  return EXIT.ok;
}
