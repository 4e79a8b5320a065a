/**
 * `console`: a link that signs a browser in to the server that runs.
 * @module
 */

import type { Command } from "./command.ts";
import { EXIT } from "./exit.ts";
import { show } from "./output.ts";

/** `console`. */
export const console: Command = {
  name: "console",
  group: "start",
  usage: "",
  about: "Print a link that opens the console of the server that runs, once and soon",
  examples: ["libos console", "libos console --host http://127.0.0.1:7777"],
  options: {},
  words: [0, 0],
  remote: "only",
  async run(at) {
    const made = await at.client!.send<{ readonly url: string; readonly expiresAt: string }>(
      "POST",
      "/v1/session/link",
    );
    show(at, made, {
      name: made.url,
      lines: [`Console (opens once, in the next 5 minutes): ${made.url}`],
    });
    return EXIT.ok;
  },
};
