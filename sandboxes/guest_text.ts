/**
 * The code of a cage as text: functions of `guest/`, type-checked there and run elsewhere.
 *
 * The text of a function is what the runtime gives for it, so nothing has to be read at run time.
 * @module
 */

import { LIMITS } from "../kernel/limits.ts";
import {
  abortOf,
  abortReason,
  GuestAbortController,
  GuestAbortSignal,
  tripOf,
} from "./guest/abort.ts";
import { cloneOf, emptyLike, isWhole } from "./guest/clone.ts";
import { Encoder } from "./guest/encode.ts";
import { Os } from "./guest/os.ts";
import { Port } from "./guest/port.ts";
import { fix, give, isLonger, primordials, utf8Length } from "./guest/primordials.ts";
import {
  attempt,
  describe,
  furnish,
  furnishTime,
  nameIt,
  realm,
  shield,
  strip,
} from "./guest/realm.ts";
import { frameReader, frameWriter, relay } from "./guest/relay.ts";
import {
  bytesIn,
  fromBase64,
  GuestTextDecoder,
  GuestTextEncoder,
  openTail,
  toBase64,
  utf8Text,
} from "./guest/text.ts";
import { dateOf, GuestChance, GuestClock, presentOf, temporalFor, Timers } from "./guest/time.ts";
import { GuestSearchParams, GuestUrl, quoteForm, unpercent, unquote } from "./guest/url.ts";
import {
  cutQuery,
  defaultPort,
  hostOf,
  ipv4Of,
  ipv6Of,
  noParts,
  parseUrl,
  percent,
  relativeUrl,
  withHost,
  withPath,
} from "./guest/url_parse.ts";
import {
  bareGlobals,
  begin,
  cage,
  freezeAll,
  memoryBeside,
  memoryOf,
  oneByOne,
  seal,
  tidier,
} from "./guest/worker.ts";

// deno-lint-ignore ban-types -- functions and classes, for their text
type Part = Function;

const REALM_PARTS: readonly Part[] = [
  primordials,
  utf8Length,
  isLonger,
  give,
  fix,
  Encoder,
  Port,
  GuestClock,
  GuestChance,
  Timers,
  dateOf,
  presentOf,
  temporalFor,
  Os,
  GuestAbortSignal,
  GuestAbortController,
  abortOf,
  tripOf,
  abortReason,
  cloneOf,
  isWhole,
  emptyLike,
  GuestTextEncoder,
  GuestTextDecoder,
  bytesIn,
  openTail,
  utf8Text,
  toBase64,
  fromBase64,
  defaultPort,
  percent,
  parseUrl,
  noParts,
  relativeUrl,
  withHost,
  withPath,
  cutQuery,
  hostOf,
  ipv4Of,
  ipv6Of,
  GuestSearchParams,
  quoteForm,
  unquote,
  unpercent,
  GuestUrl,
  realm,
  attempt,
  shield,
  describe,
  strip,
  furnish,
  nameIt,
  furnishTime,
];

/** A script: its value makes a realm of the context it runs in. */
export const REALM_TEXT = `(function () { "use strict";\n${textOf(REALM_PARTS)}
const P = primordials();\nreturn (surface) => realm(P, surface); })()`;

const CAGE_PARTS: readonly Part[] = [cage, tidier, begin, oneByOne, seal, bareGlobals, freezeAll];

/** The module which a cage's Worker is, where it is one of this process. */
export const WORKER_TEXT = `import vm from "node:vm";
import v8 from "node:v8";
${textOf([...CAGE_PARTS, memoryBeside])}
cage(vm, postMessage.bind(globalThis), memoryBeside(v8));`;

/**
 * What the Worker of a child does once it has been told so: a script whose value is called with the
 * two modules. Its one message says that it can hear.
 */
export const CHILD_WORKER_TEXT = `(function (vm, v8) { "use strict";
${textOf([...CAGE_PARTS, memoryOf, frameWriter])}
const tell = postMessage.bind(globalThis);
cage(vm, frameWriter(Deno, ${LIMITS.cageFrameBytesMax}), memoryOf(vm, v8));
tell("started"); })`;

/** The module that a child's Worker is. The runtime keeps some twenty copies of an address. */
const ENTRY_TEXT = `import vm from "node:vm";import v8 from "node:v8";onmessage=({data})=>{
onmessage=null;new vm.Script(data,{filename:"cage"}).runInThisContext()(vm,v8)}`;

/** The module which a child's main isolate is. */
export const RELAY_TEXT = `${textOf([relay, frameReader, bareGlobals])}
await relay(Deno, ${LIMITS.cageFrameBytesMax}, ${JSON.stringify(ENTRY_TEXT)});`;

/** A module as a URL. */
export function moduleUrl(text: string): string {
  return `data:application/javascript,${encodeURIComponent(text)}`;
}

/** Functions as they run, without what is for readers: what is sent is kept, and more than once. */
function textOf(parts: readonly Part[]): string {
  const lines = parts.map(String).join("\n").replace(/^\s*\/\*\*[^]*?\*\//gm, "").split("\n");
  const said = lines.map((line) => line.trim());
  return said.filter((line) => line !== "" && !line.startsWith("//")).join("\n");
}
