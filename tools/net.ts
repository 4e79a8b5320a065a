/**
 * The tool with which models fetch: it follows redirects, each as a call of its own.
 * @module
 */

import type { Args, Reply, Sys } from "../broker/client.ts";
import type { Tool } from "../broker/tool.ts";
import type { JsonObject } from "../kernel/json.ts";

type Asked = Args<"net.fetch">;
type Answer = Reply<"net.fetch">;

const REDIRECTS_MAX = 10;
const SHOWN_CHARS_MAX = 32_768;
/** Headers that are meant for whoever answers. */
const FOR_ANYBODY: ReadonlySet<string> = new Set(["accept", "accept-language", "content-type"]);
/** Headers that say something to a model. */
const TOLD: ReadonlySet<string> = new Set(["content-type", "etag", "last-modified", "retry-after"]);

/** The tool over its call's record. */
export function fetchTool(call: {
  readonly name: string;
  readonly description: string;
  readonly inputSchema: JsonObject;
}): Tool {
  return {
    ...call,
    description: "Make a request over the net; redirects are followed where that is allowed. " +
      "What is long or no text is kept as an object",
    uses: ["net.fetch"],
    parse: (input) => input,
    execute: async (input, { sys, idempotencyKey }) => {
      const { answer, stopped } = await follow(sys, input as Asked);
      return await shown(sys, answer, { stopped, name: `net/${idempotencyKey.slice(0, 12)}` });
    },
  };
}

/** Asks, and asks again where the answer leads, until it leads nowhere or that is refused. */
async function follow(
  sys: Sys,
  first: Asked,
): Promise<{ readonly answer: Answer; readonly stopped: string | null }> {
  let asked = first;
  let answer = await sys.net.fetch(asked);
  for (let i = 0; answer.redirect !== null; i++) {
    if (i === REDIRECTS_MAX) return { answer, stopped: `${i} redirects were followed already` };
    asked = next(asked, answer.redirect);
    try {
      answer = await sys.net.fetch(asked);
    } catch (error) {
      // What was answered before stands; and who asked has to know what was.
      if (!(error instanceof Error) || error.name !== "SysError") throw error;
      return { answer, stopped: error.message };
    }
  }
  return { answer, stopped: null };
}

/** What is asked where an answer leads: nothing that was meant for another origin. */
function next(asked: Asked, to: NonNullable<Answer["redirect"]>): Asked {
  const { credential, headers = {}, body, encoding, ...rest } = asked;
  const kept = Object.entries(headers).filter(([name]) =>
    (to.isSameOrigin || FOR_ANYBODY.has(name.toLowerCase())) &&
    (to.keepsBody || name.toLowerCase() !== "content-type")
  );
  return {
    ...rest,
    url: to.url,
    method: to.method,
    headers: Object.fromEntries(kept),
    ...(to.keepsBody && body !== undefined ? { body, ...(encoding && { encoding }) } : {}),
    ...(to.isSameOrigin && credential !== undefined ? { credential } : {}),
  };
}

/** An answer as a model reads it. */
async function shown(sys: Sys, answer: Answer, { stopped, name }: {
  readonly stopped: string | null;
  readonly name: string;
}): Promise<unknown> {
  const { url, status, text, type, bytes, encoding, redirect, cut } = answer;
  const headers = Object.fromEntries(
    Object.entries(answer.headers).filter(([header]) => TOLD.has(header)),
  );
  const isLong = text.length > SHOWN_CHARS_MAX;
  const object = isLong || encoding === "base64" ? await kept(sys, name, answer) : null;
  return {
    url,
    status,
    headers,
    bytes,
    ...(encoding === "base64" ? { type } : { text: text.slice(0, SHOWN_CHARS_MAX).toWellFormed() }),
    ...(isLong && encoding === "utf8" ? { of: text.length } : {}),
    ...(object === null ? {} : { object }),
    ...(redirect === null ? {} : { redirect: redirect.url }),
    ...(stopped === null ? {} : { notFollowed: stopped }),
    ...(cut === null ? {} : { cut }),
  };
}

/** Keeps a body as an object; null where its process may not. */
async function kept(sys: Sys, name: string, answer: Answer): Promise<string | null> {
  const { text, encoding, type } = answer;
  const value = encoding === "utf8" ? text : { base64: text, type };
  try {
    await sys.object.create({ name, type: encoding === "utf8" ? "text" : "json", value });
    return name;
  } catch (error) {
    if (error instanceof Error && error.name === "SysError") return null;
    throw error;
  }
}
