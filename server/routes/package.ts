/**
 * Packages: images as files, brought, looked into, compared and taken away.
 * @module
 */

import { createRoute, z } from "@hono/zod-openapi";
import { SysError } from "../../kernel/errors.ts";
import { canonical, plain } from "../../kernel/json.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { parseJson } from "../../kernel/parse.ts";
import { type Package, packageText } from "../../runtime/package.ts";
import { packageChanges } from "../../runtime/package_diff.ts";
import type { Api, House } from "../api.ts";
import { need } from "../auth.ts";
import { checkedPackage, packageRef } from "../package_book.ts";
import { isConfined, type Principal } from "../principal.ts";
import {
  packageChangeShape,
  packageFileShape,
  packageLabelShape,
  packageShape,
} from "../schema/package.ts";
import { packageView } from "../view/package.ts";
import { body, json, REFUSALS } from "./answer.ts";

const wordParam = z.object({ package: z.string().max(128) });

/** Adds them. */
export function packageRoutes(app: Api, house: House): void {
  listing(app, house);
  looking(app, house);
  bringing(app, house);
}

function listing(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/packages",
      summary: "Packages that this server keeps",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      responses: {
        200: json(z.object({ items: z.array(packageLabelShape) }), "Packages"),
        ...REFUSALS,
      },
    }),
    (c) => {
      const items = house.packages.list().map((one) => ({ ref: packageRef(one), hash: one.hash }));
      return c.json({ items }, 200);
    },
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/packages/{package}",
      summary: "What is in a package: by name@version, by hash, or by a name that has one version",
      description: "What its agents will ask for grants nothing. Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { params: wordParam },
      responses: { 200: json(packageShape, "The package"), ...REFUSALS },
    }),
    async (c) => {
      const one = await house.packages.read(c.req.valid("param").package);
      return c.json(packageView(one), 200);
    },
  );
}

function looking(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/packages/{package}/file",
      summary: "The package itself, as it was built",
      description: "Written as canonical JSON with a line feed, it is its file. Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { params: wordParam },
      responses: { 200: json(packageFileShape, "The file"), ...REFUSALS },
    }),
    async (c) => {
      const one = await house.packages.read(c.req.valid("param").package);
      return c.json(fileOf(one), 200);
    },
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/packages/{package}/changes",
      summary: "What differs from another package, what a person has to look at first",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { params: wordParam, query: z.object({ from: z.string().max(128) }) },
      responses: {
        200: json(z.object({ items: z.array(packageChangeShape) }), "What differs"),
        ...REFUSALS,
      },
    }),
    async (c) => {
      const from = await house.packages.read(c.req.valid("query").from);
      const to = await house.packages.read(c.req.valid("param").package);
      return c.json({ items: packageChanges(from, to) }, 200);
    },
  );
}

function bringing(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "post",
      path: "/v1/packages",
      summary: "Bring a package, whose image can be started from then on",
      description: "It grants nothing. One that was changed, or a signature on it that does not " +
        "hold, is refused, and so is another under a name and version that is taken. The same " +
        "again is answered with 200. Role: operator.",
      middleware: [need("operator")] as const,
      request: { body: body(packageFileShape) },
      responses: {
        200: json(packageShape, "It was there already"),
        201: json(packageShape, "The package"),
        ...REFUSALS,
      },
    }),
    async (c) => {
      const bounds = { bytesMax: LIMITS.packageBytesMax, depthMax: LIMITS.jsonDepthMax };
      const file = plain(await c.req.json(), bounds, "the package");
      const who = c.get("who");
      refuseLimited(who);
      const given = await checkedPackage(`${canonical(file)}\n`);
      const { one, isNew } = await house.images.keep(given, who);
      c.header("location", `/v1/packages/${packageRef(one.body)}`);
      return c.json(packageView(one), isNew ? 201 : 200);
    },
  );
  app.openapi(
    createRoute({
      method: "delete",
      path: "/v1/packages/{package}",
      summary: "Take a package away; processes of it go on",
      description: "Role: operator.",
      middleware: [need("operator")] as const,
      request: { params: wordParam },
      responses: { 200: json(packageLabelShape, "What was taken away"), ...REFUSALS },
    }),
    (c) => {
      refuseLimited(c.get("who"));
      const label = house.packages.remove(c.req.valid("param").package);
      return c.json({ ref: packageRef(label), hash: label.hash }, 200);
    },
  );
}

/** Packages are for everybody: who sees a part of the trees does not change what others start. */
function refuseLimited(who: Principal): void {
  if (!isConfined(who)) return;
  const sentence = `Cannot change the packages: ${who.name} sees some labels only`;
  throw new SysError("EACCES", `${sentence}, expected a token without labels`);
}

function fileOf(one: Package): z.input<typeof packageFileShape> {
  return parseJson(packageText(one)) as z.input<typeof packageFileShape>;
}
