/**
 * Packages over the API: every route answers what the document says, and refuses what it should.
 * @module
 */

import assert from "node:assert/strict";
import { connect } from "../server/client.ts";
import { packageText } from "../runtime/package.ts";
import { scriptedModel } from "../testing.ts";
import { built, forged, manifest, TOOL } from "./package_place.ts";
import { type ServerPlace, serverPlace } from "./server_place.ts";
import { type Document, fitting } from "./server_shape.ts";

const MODEL = "far/model";
const ONE = built({ "image.json": manifest({ model: MODEL }) });
const TWO = built({ "image.json": manifest({ version: "2", needs: ["file.read(./**)"] }) });
const file = (text: string) => JSON.parse(text) as Record<string, unknown>;

async function place(): Promise<ServerPlace> {
  return await serverPlace({ runtime: { models: [scriptedModel(["Done"], { id: MODEL })] } });
}

Deno.test("A package is brought, read, compared, started and taken away over the API", async () => {
  await using at = await place();
  const document = await (await at.ask(null, "/openapi.json")).json() as Document;
  const brought = await at.post("operator", "/v1/packages", file(packageText(ONE)));
  assert.equal(brought.status, 201);
  assert.equal(brought.headers.get("location"), "/v1/packages/reporter@1");
  const view = await fitting(document, brought, { method: "post", path: "/v1/packages" });
  assert.deepEqual(view["needs"], ["file.read(./notes/**)", "skill.*(**)"]);
  assert.equal((await at.post("operator", "/v1/packages", file(packageText(ONE)))).status, 200);
  const client = connect(at.server.url, { token: at.secrets.operator });
  await client.keepPackage(file(packageText(TWO)) as never);
  const label = { ref: "reporter@1", hash: ONE.hash };
  assert.deepEqual(await client.packages(), [label, { ref: "reporter@2", hash: TWO.hash }]);
  assert.deepEqual(await client.packageFile(ONE.hash), file(packageText(ONE)));
  assert.deepEqual(
    (await client.packageChanges("reporter@1", "reporter@2")).slice(0, 3)
      .map(({ mark, what, name }) => `${mark} ${what} ${name}`),
    ["+ need file.read(./**)", "- need file.read(./notes/**)", "- need skill.*(**)"],
  );
  assert.equal((await client.package("reporter@1")).model, MODEL);
  const paths = ["", "/{package}", "/{package}/file", "/{package}/changes"];
  for (const path of paths.map((rest) => `/v1/packages${rest}`)) {
    const asked = path.replace("{package}", "reporter@1");
    const answer = await at.ask("viewer", asked + (/changes/.test(path) ? "?from=reporter@2" : ""));
    assert.equal(answer.status, 200, path);
    await fitting(document, answer, { method: "get", path });
  }
  const { pid } = await client.spawn({ image: "reporter@1", goal: "go" });
  assert.equal((await client.wait(pid)).result, "Done");
  const held = at.runtime.node.trees[0]!.state.images;
  assert.deepEqual(Object.values(held).map((image) => image.package), [ONE.hash]);
  assert.deepEqual(await client.removePackage("reporter@1"), label);
  await assert.rejects(client.package("reporter@1"), { code: "ENOENT" });
  await assert.rejects(client.spawn({ image: "reporter@1", goal: "go" }), { code: "ENOENT" });
});

const REFUSED: Readonly<Record<string, readonly [string, string]>> = {
  "was changed": [packageText(ONE).replace("Monday", "Sunday"), "EINTEGRITY"],
  "is of a later version": [packageText(ONE).replace("package/1", "package/2"), "ENOSYS"],
  "has a way out among its files": [
    forged((body) => void (body["files"] = [{ path: "workspace/../../x", text: "" }])),
    "EINVAL",
  ],
  "has a signature that does not hold": [
    packageText({ ...ONE, signatures: [{ key: "0".repeat(64), sig: "0".repeat(128) }] }),
    "EINTEGRITY",
  ],
};

Deno.test("A package that was changed, or says what none may, is refused with its code", async () => {
  await using at = await place();
  for (const [what, [text, code]] of Object.entries(REFUSED)) {
    const answer = await at.post("operator", "/v1/packages", file(text));
    assert.deepEqual([answer.ok, (await answer.json()).code], [false, code], what);
  }
  assert.deepEqual((await (await at.ask("viewer", "/v1/packages")).json()).items, []);
});

Deno.test("Packages are changed by operators who see everything, and a name means one", async () => {
  await using at = await place();
  const body = file(packageText(ONE));
  for (const role of ["viewer", "approver"] as const) {
    assert.equal((await at.post(role, "/v1/packages", body)).status, 403, role);
  }
  const wish = { name: "b", role: "operator", labels: { team: "b" } } as const;
  const authorization = `Bearer ${at.server.tokens.create(wish).secret}`;
  const confined = await at.post(null, "/v1/packages", body, { headers: { authorization } });
  assert.equal(confined.status, 403);
  assert.equal((await at.post("operator", "/v1/packages", body)).status, 201);
  const gone = await at.ask(null, "/v1/packages/reporter", {
    method: "DELETE",
    headers: { authorization },
  });
  assert.equal(gone.status, 403);
  const other = file(packageText(built({ "prompt.md": "Other" })));
  const taken = await at.post("operator", "/v1/packages", other);
  assert.deepEqual([taken.status, (await taken.json()).code], [409, "EEXIST"]);
});

Deno.test("A package with tools is shown, and not started where tools do not run", async () => {
  await using at = await place();
  const text = packageText(built({ ...TOOL, "image.json": manifest({ model: MODEL }) }));
  assert.equal((await at.post("operator", "/v1/packages", file(text))).status, 201);
  const { items } = await (await at.ask("viewer", "/v1/images")).json();
  assert.deepEqual(items.map(({ ref }: { ref: string }) => ref), ["reporter@1"]);
  const answer = await at.post("operator", "/v1/processes", { image: "reporter", goal: "go" });
  const { code, detail } = await answer.json();
  assert.equal(code, "ENOSYS");
  assert.match(detail, /it brings generated tools, expected libos serve --jit/);
});
