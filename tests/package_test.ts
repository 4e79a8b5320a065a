/**
 * Packages: one hash for one content, nothing that can be read in two ways, no need that hides.
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { LIMITS } from "../kernel/limits.ts";
import { readPackageFolder, writeSeed } from "../providers/package_folder.ts";
import { loadPackageKey, makePackageKey, publicKeyOf } from "../providers/package_key.ts";
import { packageText, readPackage } from "../runtime/package.ts";
import { buildPackage } from "../runtime/package_build.ts";
import { packageChanges } from "../runtime/package_diff.ts";
import { checkedPackage, signedPackage } from "../server/package_book.ts";
import { built, folder, forged, manifest, skillText, TOOL } from "./package_place.ts";

/** Of the files below, wherever and in whatever order they lie: should it change, the format did. */
const HASH = "5c48c3ad4e68a5c295472d8369aea7d91571245479e62d4cff5ffb57ae446399";

Deno.test("A package has one hash: that of its content, whatever the order of its files", () => {
  assert.equal(built().hash, HASH);
  fc.assert(
    fc.property(fc.shuffledSubarray(folder(), { minLength: folder().length }), (files) => {
      assert.equal(buildPackage(files).hash, HASH);
    }),
    { numRuns: 20 },
  );
  const other = { needs: ["skill.*(**)", "file.read(./notes/**)"], version: "1", libc: null };
  assert.equal(built({ "image.json": manifest(other) }).hash, HASH, "the same, in other words");
  for (const change of [{ "prompt.md": "Other" }, { "workspace/a": "" }, TOOL]) {
    assert.notEqual(built(change).hash, HASH);
  }
});

Deno.test("A package that is read is what was built", () => {
  for (const more of [{}, TOOL, { "workspace/bom.txt": "\ufeffa", "prompt.md": undefined }]) {
    const one = built(more);
    assert.deepEqual(readPackage(packageText(one)), one);
  }
});

type Body = Record<string, unknown>;
const files = (body: Body): Body[] => body["files"] as Body[];
const addFile = (path: string, text = "x") => (body: Body) => void files(body).push({ path, text });
const addTool = (more: object) => (body: Body) =>
  void (body["tools"] = [{
    name: "t",
    description: "t",
    inputSchema: { type: "object" },
    outputSchema: null,
    rights: [],
    tests: [],
    source: "export default () => 1;",
    ...more,
  }]);

/** What a file of a package may not say, even where its hash fits. */
const FORGED: Readonly<Record<string, readonly [(body: Body) => void, string, RegExp]>> = {
  "a way out": [addFile("workspace/../../etc/passwd"), "EINVAL", /no plain path|way out/],
  "an absolute path": [addFile("/etc/passwd"), "EINVAL", /absolute/],
  "a backslash": [addFile("workspace\\..\\x"), "EINVAL", /backslash/],
  "a drive": [addFile("workspace/C:/x"), "EINVAL", /something else/],
  "a device of some system": [addFile("workspace/nul.txt"), "EINVAL", /something else/],
  "a name with a hidden end": [addFile("workspace/x. "), "EINVAL", /something else/],
  "a path beside the places": [addFile("image.json"), "EINVAL", /expected a file of workspace/],
  "a file named like its folder": [
    (body) => [addFile("workspace/a")(body), addFile("workspace/a/b")(body)],
    "EINVAL",
    /cannot lie beside/,
  ],
  "two names that some systems hold for one": [
    addFile("workspace/NOTES/mon.md"),
    "EINVAL",
    /cannot lie beside "workspace\/NOTES\/"/,
  ],
  "the same file twice": [addFile("workspace/notes/mon.md"), "EINVAL", /cannot lie beside/],
  "letters in two pieces": [addFile("workspace/e\u0301"), "EINVAL", /NFC/],
  "a change of direction": [addFile("workspace/a\u202eb"), "EINVAL", /direction/],
  "a file in two writings": [
    (body) => Object.assign(files(body)[0]!, { base64: "eA==" }),
    "EINVAL",
    /not written as files are/,
  ],
  "text written as base64": [
    (body) => void files(body).push({ path: "workspace/z", base64: "eA==" }),
    "EINVAL",
    /not written as files are/,
  ],
  "base64 with bits to spare": [
    (body) => void files(body).push({ path: "workspace/z", base64: "/x==" }),
    "EINVAL",
    /not written as files are/,
  ],
  "a skill without its text": [addFile("skills/other/x.md"), "EINVAL", /no SKILL.md/],
  "a skill inside a skill": [
    addFile("skills/sums/more/SKILL.md", skillText("more")),
    "EINVAL",
    /a skill says nothing for others/,
  ],
  "a skill with needs of its own": [
    addFile("skills/sums/image.json", manifest({ needs: ["shell.run(**)"] })),
    "EINVAL",
    /a skill says nothing for others/,
  ],
  "a skill that says another name": [
    addFile("skills/a/SKILL.md", skillText("b")),
    "EINVAL",
    /Cannot use skill "a"/,
  ],
  "a need of a right that is none": [
    (body) => void (body["needs"] = ["file.reed(**)"]),
    "EINVAL",
    /file\.reed/,
  ],
  "a need outside the workspace": [
    (body) => void (body["needs"] = ["file.read(../**)"]),
    "EINVAL",
    /way out/,
  ],
  "a need spelt in another way": [
    (body) => void (body["needs"] = ["file.read(notes/**)"]),
    "EINTEGRITY",
    /normal form/,
  ],
  "a tool that may do what no need says": [
    addTool({ rights: ["net.fetch(**)"] }),
    "EPERM",
    /net\.fetch\(\*\*\), which no need covers/,
  ],
  "a tool that may do more than its need": [
    addTool({ rights: ["file.read(./**)"] }),
    "EPERM",
    /no need covers/,
  ],
  "a tool that reads another's memory": [
    addTool({ rights: ["object.read(p_1/**)"] }),
    "EPERM",
    /no need covers/,
  ],
  "a tool that is compiled already": [addTool({ code: "evil()" }), "EINVAL", /tools\.0/],
  "a tool in place of a built-in one": [
    (body) => [addTool({ name: "file_read" })(body), body["libc"] = ["file_read"]],
    "EEXIST",
    /has this name/,
  ],
  "a field that nobody knows": [(body) => void (body["grants"] = ["**"]), "EINVAL", /grants/],
  "a name that is none": [(body) => void (body["name"] = "../x"), "EINVAL", /name/],
  "a version that is a path": [(body) => void (body["version"] = ".."), "EINVAL", /version/],
};

for (const [what, [change, code, says]] of Object.entries(FORGED)) {
  Deno.test(`A package with ${what} is refused`, () => {
    assert.throws(() => readPackage(forged((body) => change(body))), { code, message: says });
  });
}

const TEXT = packageText(built());
const WRONG: Readonly<Record<string, readonly [text: string, code: string, says: RegExp]>> = {
  "is cut": [TEXT.slice(0, -9), "EINTEGRITY", /no JSON/],
  "was changed": [TEXT.replace("Monday", "Sunday"), "EINTEGRITY", /another hash/],
  "has the hash of another": [
    TEXT.replace(built().hash, built({ "prompt.md": "" }).hash),
    "EINTEGRITY",
    /another hash/,
  ],
  "is of a later version": [
    TEXT.replace("libos.package/1", "libos.package/2"),
    "ENOSYS",
    /of version 2, expected version 1/,
  ],
  "is something else": ["[]", "EINTEGRITY", /no package/],
  "says a thing twice": [
    TEXT.replace('{"body":', '{"hash":"0","body":'),
    "EINTEGRITY",
    /not written as packages are/,
  ],
  "has spaces": [TEXT.replace('{"body":', '{ "body":'), "EINTEGRITY", /not written as/],
  "is nested without end": [
    `${'{"body":'.repeat(50_000)}1${"}".repeat(50_000)}`,
    "ELIMIT",
    /deeper than/,
  ],
  "is too large": [`"${"x".repeat(LIMITS.packageBytesMax)}"`, "ELIMIT", /bytes, expected/],
};

for (const [what, [text, code, says]] of Object.entries(WRONG)) {
  Deno.test(`A package that ${what} is refused`, () => {
    assert.throws(() => readPackage(text), { code, message: says });
  });
}

Deno.test("No byte of a package can be another one", () => {
  fc.assert(
    fc.property(fc.nat(TEXT.length - 1), fc.string({ minLength: 1, maxLength: 1 }), (at, char) => {
      fc.pre(TEXT[at] !== char);
      assert.throws(() => readPackage(TEXT.slice(0, at) + char + TEXT.slice(at + 1)));
    }),
    { numRuns: 200 },
  );
});

Deno.test("What differs is told with needs first, and with what tools and skills say", () => {
  const before = built(TOOL);
  const contract = JSON.parse(TOOL["tools/count_lines.tool.json"]) as { rights: string[] };
  const after = built({
    ...TOOL,
    "image.json": manifest({ needs: ["file.*(./**)"], version: "2" }),
    "tools/count_lines.tool.json": JSON.stringify({ ...contract, rights: ["file.read(./**)"] }),
    "skills/sums/SKILL.md": skillText("sums", "allowed-tools: Read\n"),
    "prompt.md": "Write a long report.\n",
    "workspace/logo.png": undefined,
  });
  assert.deepEqual(
    packageChanges(before, after).map(({ mark, what, name }) => `${mark} ${what} ${name}`.trim()),
    [
      "+ need file.*(./**)",
      "- need file.read(./notes/**)",
      "- need skill.*(**)",
      "~ tool may use count_lines",
      "~ skill says it uses sums",
      "~ instructions",
      "~ file skills/sums/SKILL.md",
      "- file workspace/logo.png",
      "~ version",
    ],
  );
  assert.deepEqual(packageChanges(before, before), []);
});

/** A folder of its own, which is removed afterwards. */
async function inFolder(job: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempDir({ prefix: "libos-package-" });
  try {
    await job(path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

async function written(path: string): Promise<void> {
  for (const { path: name, bytes } of folder()) {
    await Deno.mkdir(`${path}/${name.replace(/[^/]*$/, "")}`, { recursive: true });
    await Deno.writeFile(`${path}/${name}`, bytes);
  }
}

Deno.test("A folder is read as it is; links, pipes and second names in it are refused", async () => {
  await inFolder(async (path) => {
    await written(path);
    assert.equal(buildPackage(await readPackageFolder(path)).hash, HASH);
    const attacks: readonly (readonly [string, () => Promise<unknown>])[] = [
      ["link", () => Deno.symlink("/etc/passwd", `${path}/workspace/x`)],
      ["folder link", () => Deno.symlink("/etc", `${path}/workspace/x`)],
      ["hard link", () => Deno.link(`${path}/prompt.md`, `${path}/workspace/x`)],
      ["pipe", () => new Deno.Command("mkfifo", { args: [`${path}/workspace/x`] }).output()],
    ];
    for (const [what, make] of attacks) {
      await make();
      await assert.rejects(readPackageFolder(path), { name: "SysError" }, what);
      await Deno.remove(`${path}/workspace/x`);
    }
    await Deno.truncate(`${path}/workspace/logo.png`, LIMITS.packageBytesMax + 1);
    await assert.rejects(readPackageFolder(path), { code: "ELIMIT" });
    await Deno.remove(`${path}/workspace/logo.png`);
    await Deno.writeTextFile(`${path}/.env`, "KEY=1");
    const files = await readPackageFolder(path);
    assert.throws(() => buildPackage(files), {
      code: "EINVAL",
      message: /"\.env", expected image/,
    });
  });
});

Deno.test("Seeds replace nothing, follow no link, and are written all or not at all", async () => {
  await inFolder(async (path) => {
    const seed = ["a", "sub/b"].map((name) => ({ path: name, bytes: new Uint8Array([1]) }));
    await Deno.mkdir(`${path}/sub`);
    await Deno.writeTextFile(`${path}/sub/b`, "mine");
    await assert.rejects(writeSeed(path, seed), { code: "EEXIST" });
    await assert.rejects(Deno.stat(`${path}/a`), Deno.errors.NotFound);
    assert.equal(await Deno.readTextFile(`${path}/sub/b`), "mine");
    await Deno.remove(`${path}/sub`, { recursive: true });
    await inFolder(async (elsewhere) => {
      await Deno.symlink(elsewhere, `${path}/sub`);
      await assert.rejects(writeSeed(path, seed), { name: "SysError" });
      assert.deepEqual([...Deno.readDirSync(elsewhere)], []);
      await Deno.remove(`${path}/sub`);
    });
    await Deno.remove(`${path}/a`).catch(() => {});
    await writeSeed(path, seed);
    assert.deepEqual(await Deno.readFile(`${path}/sub/b`), new Uint8Array([1]));
  });
});

Deno.test("A key under which anybody signs anything signs nothing", async () => {
  const weak = [
    "00".repeat(32),
    `${"00".repeat(31)}80`,
    `01${"00".repeat(31)}`,
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    `ec${"ff".repeat(30)}7f`,
    `ed${"ff".repeat(31)}`,
    `ee${"ff".repeat(30)}7f`,
  ];
  for (const key of weak) {
    await assert.rejects(publicKeyOf(key), { code: "EINVAL" }, key);
    for (const r of ["00".repeat(32), `01${"00".repeat(31)}`]) {
      const signatures = [{ key, sig: r + "00".repeat(32) }];
      const text = packageText({ ...built(), signatures });
      await assert.rejects(checkedPackage(text), { code: "EINTEGRITY" }, key);
    }
  }
});

Deno.test("A signature is of one content by one key; one that does not hold is refused", async () => {
  await inFolder(async (path) => {
    const key = await makePackageKey(`${path}/key.pem`);
    await assert.rejects(makePackageKey(`${path}/key.pem`), { code: "EEXIST" });
    const loaded = await loadPackageKey(`${path}/key.pem`);
    assert.equal(loaded.key, key);
    const one = await signedPackage(built(), loaded);
    assert.deepEqual((await checkedPackage(packageText(one))).signatures.map((by) => by.key), [
      key,
    ]);
    assert.equal(one.hash, HASH, "who signed it is no part of what it is");
    const { sig } = one.signatures[0]!;
    const other = packageText({ ...built({ "prompt.md": "" }), signatures: [{ key, sig }] });
    await assert.rejects(checkedPackage(other), { code: "EINTEGRITY", message: /does not hold/ });
    const flipped = packageText(one).replace(key, key.replace(/^./, (c) => c === "0" ? "1" : "0"));
    await assert.rejects(checkedPackage(flipped), { code: "EINTEGRITY" });
    await Deno.chmod(`${path}/key.pem`, 0o644);
    await assert.rejects(loadPackageKey(`${path}/key.pem`), { code: "EACCES" });
    await Deno.writeTextFile(`${path}/no.pem`, "no key", { mode: 0o600 });
    await assert.rejects(loadPackageKey(`${path}/no.pem`), { code: "EINVAL" });
    await assert.rejects(publicKeyOf("no key"), { code: "EINVAL" });
  });
});
