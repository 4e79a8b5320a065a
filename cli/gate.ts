/**
 * `gate`: a proxy before a rate-limited endpoint, for agents that are not ours.
 * @module
 */

import { Gate } from "../providers/gate.ts";
import { gateProxy } from "../providers/gate_proxy.ts";
import { listenHttp } from "../providers/http.ts";
import type { Command } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { gateOf } from "./gate_words.ts";
import { safeJson } from "./output.ts";
import { portOf, usage } from "./words.ts";

/** `gate`. */
export const gate: Command = {
  name: "gate",
  group: "start",
  usage: "--upstream URL [--port N] [rpm=N] [tpm=N] [concurrency=N] [wait=10m] …",
  about: "Stand before a rate-limited endpoint: agents ask here, and each has its turn",
  examples: [
    "libos gate --upstream http://127.0.0.1:11434/v1 concurrency=2",
    "libos gate --upstream https://api.openai.com/v1 rpm=50 --port 7780",
  ],
  options: { upstream: { type: "string" }, port: { type: "string" } },
  words: [0, 16],
  remote: "none",
  async run({ words, flags, io, format }) {
    const upstream = flags.text("upstream");
    if (upstream === undefined) {
      throw new UsageError("Cannot open a gate: no upstream, expected --upstream URL");
    }
    const options = gateOf(words);
    if (options === undefined) {
      throw new UsageError('Cannot open a gate: it is "off", expected settings or none');
    }
    const own = new Gate(options);
    const answer = usage(() => gateProxy({ upstream, gate: own }));
    const listener = listenHttp(answer, { port: portOf(flags.text("port") ?? "0") });
    const stop = Promise.withResolvers<void>();
    const off = io.onInterrupt(() => stop.resolve());
    try {
      const url = `${listener.url}/v1`;
      const isJson = format === "json" || format === "jsonl";
      io.out(isJson ? `${safeJson({ url, state: `${listener.url}/gate` })}\n` : lines(url));
      await stop.promise;
    } finally {
      off();
      await listener.close();
    }
    return EXIT.ok;
  },
};

function lines(url: string): string {
  return `Agents ask at ${url} in place of the endpoint\n` +
    `How it stands: ${url.replace(/v1$/, "gate")}\nStop with Ctrl-C\n`;
}
