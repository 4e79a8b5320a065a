/**
 * Pieces of JavaScript that hostile bodies share: how they tell that they have hold of something
 * which is not of their realm, and how they look for the platform.
 * @module
 */

/**
 * `foreign(x)`: whether `x` is an object of another realm. `tell(xs)`: what is returned when one of
 * them is.
 */
export const FOREIGN = String.raw`
const ObjectProto = Object.prototype;
const protoOf = Reflect.getPrototypeOf, isObject = (x) =>
  (typeof x === "object" && x !== null) || typeof x === "function";
const foreign = (x) => {
  if (!isObject(x)) return false;
  let last = null;
  try { for (let p = protoOf(x); p !== null; p = protoOf(p)) last = p; } catch { return false; }
  return last !== null && last !== ObjectProto;
};
const tell = (xs, held = "held") => {
  for (let i = 0; i < xs.length; i++) if (foreign(xs[i])) {
    let what = "?"; try { what = String(xs[i]).slice(0, 80); } catch {}
    return { escaped: true, what };
  }
  return held;
};
`;

/** `platform(from)`: names of the platform that can be reached from a global object. */
export const PLATFORM = String.raw`
const NAMES = ["Deno", "process", "require", "Buffer", "fetch", "WebSocket", "Worker", "postMessage",
  "BroadcastChannel", "MessageChannel", "MessagePort", "EventSource", "caches", "localStorage",
  "navigator", "location", "self", "window", "global", "parent", "close", "onmessage", "importScripts",
  "WebAssembly", "SharedArrayBuffer", "Atomics", "WeakRef", "FinalizationRegistry", "performance",
  "name", "reportError", "alert", "prompt", "confirm", "addEventListener", "dispatchEvent", "gc",
  "XMLHttpRequest", "Request", "Response", "Headers", "ReadableStream", "CompressionStream", "Blob",
  "File", "FileReader", "EventTarget", "Event", "GPU", "ShadowRealm", "module", "exports", "__dirname",
  "__bootstrap", "d8", "print", "load", "read", "quit", "setImmediate", "Bun", "Cache", "Storage"];
const platform = (from) => NAMES.filter((name) => typeof from[name] !== "undefined");
`;
