/**
 * Content of objects as bytes: what a browser shows as a picture or plays, and what people take
 * away. An agent may have written any of it.
 *
 * Invariants:
 *   B1. What it is called is what its bytes are: media by their own header, all else plain text or
 *       JSON. No answer is a page, whatever stands in it.
 *   B2. Whoever goes to its address is given a file to keep. Only an element that shows media shows
 *       it, and there no script in it runs and nothing it names is fetched.
 *   B3. It is a look at content: role operator, and the tree's log says who looked.
 * @module
 */

import { createRoute, z } from "@hono/zod-openapi";
import { SysError } from "../../kernel/errors.ts";
import type { ObjectId } from "../../kernel/ids.ts";
import type { Json } from "../../kernel/json.ts";
import { factsOf, isMediaKind } from "../../kernel/media.ts";
import type { Api, House } from "../api.ts";
import { need } from "../auth.ts";
import { problemOf, problemResponse } from "../problem.ts";
import { objectIdShape } from "../schema/shape.ts";
import { REFUSALS } from "./answer.ts";
import { revealed, seenObject, writtenAt } from "./memory.ts";

const ANY: string = "application/octet-stream";
const SVG = "image/svg+xml";
const IS_SVG = /^\s*(?:<\?xml[^>]*>\s*)?<svg[\s>]/;

/** What a document at this address may do: nothing, in an origin of its own. */
const CAGE = "default-src 'none'; sandbox; frame-ancestors 'none'";

const params = z.object({ id: objectIdShape, n: z.coerce.number().int().min(1) });
const query = z.object({
  as: z.enum(["itself", "svg"]).default("itself").openapi({
    description: "`svg`: text that is an SVG, as an image for an `<img>`, where it is one only",
  }),
});

interface Content {
  readonly type: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly ending: string;
}

/** Adds them. */
export function contentRoutes(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/objects/{id}/versions/{n}/content",
      summary: "A version's content as a file: media by its bytes, text as text, all else as JSON",
      description: "Takes one `Range`. Role: operator; the tree's log says who looked.",
      middleware: [need("operator")] as const,
      request: { params, query },
      responses: {
        200: { content: { [ANY]: { schema: z.string() } }, description: "All of it" },
        206: { content: { [ANY]: { schema: z.string() } }, description: "The range" },
        416: { description: "It is shorter than that" },
        ...REFUSALS,
      },
    }),
    async (c) => {
      const { id, n } = c.req.valid("param");
      const { tree, object } = await seenObject(house, c.get("who"), id as ObjectId);
      const what = `${id}@${n}`;
      // Whatever plays it reads it piece by piece: those are one look.
      const shown = await revealed(house, tree, {
        ref: writtenAt(object, n).value,
        what,
        by: c.get("who").name,
        isOften: true,
      });
      if (shown.erased) {
        throw new SysError("ENOENT", `Cannot show "${what}": erased, expected one that is not`);
      }
      const isSvg = c.req.valid("query").as === "svg";
      const content = contentOf(object.type, shown.value ?? null, isSvg);
      return answered(content, what, c.req.header("range"));
    },
  );
}

/** B1 */
function contentOf(type: string, value: Json, isSvg: boolean): Content {
  if (isSvg) {
    if (typeof value !== "string" || !IS_SVG.test(value)) {
      throw new SysError("EINVAL", "Cannot show it as an SVG: expected text that begins as one");
    }
    return { type: SVG, bytes: new TextEncoder().encode(value), ending: "svg" };
  }
  if (isMediaKind(type)) {
    const bytes = Uint8Array.fromBase64((value as { readonly base64: string }).base64);
    const mediaType = factsOf(bytes)?.mediaType ?? ANY;
    return { type: mediaType, bytes, ending: mediaType.slice(mediaType.indexOf("/") + 1) };
  }
  const isText = typeof value === "string";
  const text = isText ? value : JSON.stringify(value, null, 2);
  const bytes = new TextEncoder().encode(text);
  return isText
    ? { type: "text/plain; charset=utf-8", bytes, ending: "txt" }
    : { type: "application/json", bytes, ending: "json" };
}

/** B2 */
function answered(content: Content, what: string, range: string | undefined): Response {
  const { type, bytes, ending } = content;
  const headers: Record<string, string> = {
    "content-type": type,
    "content-disposition": `attachment; filename="${what}.${ending}"`,
    "content-security-policy": CAGE,
    "accept-ranges": "bytes",
  };
  const part = range === undefined ? undefined : partOf(range, bytes.length);
  if (part === undefined) return new Response(bytes, { headers });
  if (part === null) {
    const sentence = `Cannot show "${range}" of ${bytes.length} bytes: expected a range in them`;
    return problemResponse({ ...problemOf(new SysError("EINVAL", sentence))!, status: 416 }, {
      "content-range": `bytes */${bytes.length}`,
    });
  }
  const { from, to } = part;
  headers["content-range"] = `bytes ${from}-${to}/${bytes.length}`;
  return new Response(bytes.subarray(from, to + 1), { status: 206, headers });
}

/** The range asked for; undefined for what is none, or several, and means all; null beyond it. */
function partOf(text: string, length: number): { from: number; to: number } | null | undefined {
  const found = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(text.trim());
  if (found === null) return undefined;
  const [, first = "", last = ""] = found;
  if (first === "" && last === "") return undefined;
  const from = first === "" ? Math.max(0, length - Number(last)) : Number(first);
  const to = first === "" || last === "" ? length - 1 : Math.min(Number(last), length - 1);
  if (first !== "" && last !== "" && Number(last) < from) return undefined;
  return from >= length ? null : { from, to };
}
