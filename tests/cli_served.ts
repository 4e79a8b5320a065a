/**
 * A server as a process, for tests of the command line.
 * @module
 */

import { deepStrictEqual as equal } from "node:assert/strict";
import { besideServer } from "../cli/token.ts";
import { privateFile } from "../server/mod.ts";
import { type Child, Place } from "./cli_place.ts";

/**
 * A server as a process, over a store with an agent that waits for a person; or over what `fill`
 * makes, which tells the files of agents.
 */
export async function served(
  fill: (place: Place) => Promise<readonly string[]> = greeted,
): Promise<Served> {
  const place = await Place.make();
  const server = place.spawn("serve", ...await fill(place), "--port", "0");
  await server.shows("Stop with Ctrl-C");
  const { url, token } = besideServer(privateFile(`${place.folder}/.libos/server.json`))!;
  return {
    place,
    server,
    host: ["--host", url, "--token", token],
    async [Symbol.asyncDispose]() {
      server.interrupt();
      await server.said();
      await place[Symbol.asyncDispose]();
    },
  };
}

async function greeted(place: Place): Promise<readonly string[]> {
  const said = await place.libos("run", "greeter.ts", "Say hi", "--no-wait");
  equal(said.exit, 5, said.err);
  return ["greeter.ts", "waiter.ts"];
}

/** A place with a server on its store. */
export interface Served extends AsyncDisposable {
  readonly place: Place;
  readonly server: Child;
  /** The options that name the server. */
  readonly host: readonly string[];
}
