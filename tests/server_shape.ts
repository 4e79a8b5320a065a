/**
 * Answers held against the API's own document.
 * @module
 */

import assert from "node:assert/strict";
import { Validator } from "@cfworker/json-schema";

interface Route {
  readonly responses: Readonly<
    Record<string, {
      readonly content?: Readonly<Record<string, { readonly schema: Record<string, unknown> }>>;
    }>
  >;
}

/** The document of an API. */
export interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Route>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
}

/** Holds an answer against what the document says of its route; returns its body. */
export async function fitting(
  document: Document,
  answer: Response,
  route: { readonly method: string; readonly path: string },
): Promise<Record<string, unknown>> {
  const { responses } = document.paths[route.path]![route.method]!;
  const type = answer.headers.get("content-type")!.split(";")[0]!;
  const said = responses[String(answer.status)] ?? responses["default"];
  const schema = said?.content?.[type]?.schema;
  assert(schema !== undefined, `${route.method} ${route.path} answers ${answer.status} ${type}`);
  const body = await answer.json();
  const whole = { ...schema, components: document.components };
  const { valid, errors } = new Validator(whole, "2020-12", false).validate(body);
  const where = `${route.method} ${route.path}: ${JSON.stringify(errors.slice(-3))}`;
  assert(valid, `${where} of ${JSON.stringify(body).slice(0, 500)}`);
  return body;
}
