/**
 * What all models behind an address have in common: times, bounds, no redirects, no key in errors.
 *
 * Invariants:
 *   O2. A call ends: after `timeoutMs` in all, or after `idleTimeoutMs` without a byte.
 *   O3. A conversation and its key go to `url` only: redirects are not followed.
 *   O4. The key is in no error and in no reply.
 *   O5. No timer and no open response is left when a call has ended.
 * @module
 */

import { SysError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import type { Model } from "../../kernel/world.ts";
import type { Pricing } from "../../kernel/price.ts";
import { aiSdkModel, type LanguageModel } from "./ai_sdk.ts";
import { keyHider, keyRedactor } from "./key.ts";

const IDLE_MS_DEFAULT = 120_000;
const REFUSAL_BYTES_MAX = 65_536;
/** A reply that comes in one piece fits, with what is around it. */
const LINE_BYTES_MAX = LIMITS.callReplyBytesMax + 65_536;

/** How a model behind an address is asked. */
export interface EndpointOptions {
  /** What the endpoint calls the model. */
  readonly modelId: string;
  /** Proves who asks; it goes to the endpoint and nowhere else. */
  readonly apiKey?: string;
  /** How long a call may take; `LIMITS.modelTimeoutMsDefault` when absent. */
  readonly timeoutMs?: number;
  /** How long an endpoint may be silent, which includes its thinking; two minutes when absent. */
  readonly idleTimeoutMs?: number;
  /** Makes replies say `usd`. */
  readonly pricing?: Pricing;
  /** Media types that the model takes, such as `image/*`. */
  readonly takes?: readonly string[];
  /** Instead of the global one. It gets the signal that ends the call. */
  readonly fetch?: typeof globalThis.fetch;
}

/** Throws `EINVAL` for a `url` that is no HTTP address. */
export function refuseUrl(id: string, url: string): void {
  if (/^https?:$/.test(URL.parse(url)?.protocol ?? "")) return;
  throw new SysError("EINVAL", `Cannot use model "${id}": no HTTP address, expected a URL`);
}

/** Makes a model of whatever `connect` makes for one call. */
export function modelAt(
  id: string,
  options: EndpointOptions,
  connect: (watch: Watch) => LanguageModel | Promise<LanguageModel>,
): Model {
  const { pricing, takes } = options;
  const hide = keyHider(options.apiKey);
  const redact = keyRedactor(options.apiKey);
  const how = {
    ...{ id, hide },
    ...(redact === undefined ? {} : { redact }),
    ...(pricing === undefined ? {} : { pricing }),
  };
  return {
    id,
    ...(takes === undefined ? {} : { takes }),
    ...(pricing === undefined ? {} : { pricing }),
    async generate(request, { signal, ...asking }) {
      const watch = startWatch(id, options);
      try {
        const model = aiSdkModel(await connect(watch), how);
        const both = AbortSignal.any([signal, watch.signal]);
        return await model.generate(request, { ...asking, signal: both });
      } catch (thrown) {
        throw withoutKey(thrown, hide);
      } finally {
        watch.stop();
      }
    },
  };
}

/** The times of one call. */
export interface Watch {
  /** Aborted, with the failure as its reason, when a time has passed. */
  readonly signal: AbortSignal;
  /** Something has come. */
  touch(): void;
  stop(): void;
}

function startWatch(id: string, options: EndpointOptions): Watch {
  const timeoutMs = options.timeoutMs ?? LIMITS.modelTimeoutMsDefault;
  const idleMs = options.idleTimeoutMs ?? IDLE_MS_DEFAULT;
  const controller = new AbortController();
  const end = (found: string) => {
    const sentence = `Cannot generate with model "${id}": ${found}, expected a faster reply`;
    controller.abort(new SysError("ETIMEDOUT", sentence));
  };
  const total = setTimeout(() => end(`not done after ${timeoutMs} ms`), timeoutMs);
  // In two parts: this process may have stood still for one, and hear only then what came.
  const silent = () =>
    setTimeout(() => {
      idle = setTimeout(() => end(`silent for ${idleMs} ms`), idleMs / 2);
    }, idleMs / 2);
  let idle = silent();
  let stopped = false;
  return {
    signal: controller.signal,
    touch() {
      clearTimeout(idle);
      if (!stopped) idle = silent();
    },
    stop() {
      stopped = true;
      clearTimeout(total);
      clearTimeout(idle);
    },
  };
}

/** Asks without following redirects, watches each byte, and bounds what is kept of an answer. */
export function guarded(fetch: typeof globalThis.fetch, watch: Watch): typeof globalThis.fetch {
  return async (input, init) => {
    const response = await fetch(input, { ...init, redirect: "manual" });
    watch.touch();
    const { status, statusText, headers, body } = response;
    const kind = headers.get("content-type") ?? "";
    if (response.ok && /^(text\/html|application\/json)\b/i.test(kind)) {
      await body?.cancel();
      const found = `answered "${kind}", expected "text/event-stream"`;
      throw new SysError("EIO", `Cannot use the model's reply: ${found}`);
    }
    const metered = body?.pipeThrough(meter(watch, response.ok)) ?? null;
    return new Response(metered, { status, statusText, headers });
  };
}

/** Bounds what the SDK keeps: a line of a stream, which is an error, or a refusal, which is cut. */
function meter(watch: Watch, isStream: boolean): TransformStream<Uint8Array, Uint8Array> {
  let kept = 0;
  return new TransformStream({
    transform(bytes, controller) {
      watch.touch();
      const newline = isStream ? bytes.indexOf(10) : -1;
      const longest = kept + (newline === -1 ? bytes.length : newline);
      if (isStream && longest > LINE_BYTES_MAX) {
        const found = `one line is larger than ${LINE_BYTES_MAX} bytes, expected less`;
        const limit = { limit: "callReplyBytesMax" };
        throw new SysError("ELIMIT", `Cannot use the model's reply: ${found}`, limit);
      }
      kept = newline === -1 ? longest : bytes.length - bytes.lastIndexOf(10) - 1;
      controller.enqueue(bytes);
      if (!isStream && kept > REFUSAL_BYTES_MAX) controller.terminate();
    },
  });
}

/** What did not come from the endpoint's words may have the key in it all the same (O4). */
function withoutKey(thrown: unknown, hide: (text: string) => string): unknown {
  if (!(thrown instanceof SysError)) return thrown;
  const message = hide(thrown.message);
  return message === thrown.message ? thrown : new SysError(thrown.code, message, thrown.detail);
}
