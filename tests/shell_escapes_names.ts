/**
 * Attempts of programs on what rules take by name.
 * @module
 */

import type { Unclassed } from "./shell_escapes.ts";

/** To read it. */
export const NAMES_READ: readonly Unclassed[] = [
  { name: "what a rule takes by name", does: () => "cat a/x.env a/deep/y.env" },
  { name: "what a rule takes by name, by a search", does: () => "grep -rh outside a/deep" },
  { name: "what a rule takes by name, by links", does: () => "ln -s x.env a/l; cat a/l a/byname" },
  {
    name: "what a rule takes by name, by second names",
    does: () => "ln a/x.env a/y; cat a/y a/second",
  },
  {
    name: "what a rule takes by name, moved",
    does: () => "mv a/x.env a/y; cat a/y",
  },
  {
    name: "what a rule takes by name in a folder, that moved",
    does: () => "mv a/conf/in a/conf/out; cat a/conf/out/k; mv a/conf a/c; cat a/c/in/k",
  },
];

/** To change it, or to make it. */
export const NAMES_WRITTEN: readonly Unclassed[] = [
  {
    name: "what a rule takes by name",
    does: () => "echo x > a/x.env; rm -f a/x.env; mv a/x.txt a/x.env",
    cameThrough: ({ place }) => place.text("a/x.env") !== "outside",
  },
  {
    name: "a name that a rule takes, which is told at the end",
    does: () => "echo x > e/new.env; echo outside",
    cameThrough: ({ told }) => told === null,
  },
  {
    name: "a name whose changes a rule takes",
    does: () => "echo x > d/new.lock; mv d/x.txt d/x.lock",
    cameThrough: ({ place }) =>
      place.text("d/new.lock") !== null || place.text("d/x.lock") !== null,
  },
];
