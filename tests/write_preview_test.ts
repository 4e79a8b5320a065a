/**
 * What a person sees of a write that is asked about: what would be different, and nothing that the
 * asker could learn from.
 * @module
 */

import assert from "node:assert/strict";
import { ask } from "../mod.ts";
import { LIMITS } from "../kernel/limits.ts";
import { SysError } from "../kernel/errors.ts";
import { type Body, codeOf, CountedFiles, imageOf, inWorld } from "./world_fixture.ts";

const GRANTS = [ask("file.write", "./d/**")];

/** The preview of a write of `text` over what `prepare` put there, without its first line. */
async function previewOf(
  text: string,
  prepare: (files: CountedFiles) => void = () => {},
  encoding: "utf8" | "base64" = "utf8",
): Promise<string> {
  let shown = "";
  await inWorld(async (world) => {
    prepare(world.files!);
    const body: Body = ({ sys }) => codeOf(sys.file.write({ path: "d/a", text, encoding }));
    await world.start(imageOf(body), { grants: GRANTS });
    const [request] = world.os.approvals.list();
    const [because, ...lines] = request!.preview!.split("\n");
    assert.match(because!, /^because of rule "ask file\.write/);
    shown = lines.join("\n");
  });
  return shown;
}

const LARGE = "x".repeat(LIMITS.writePreviewBytesMax + 1);

interface Shown {
  readonly what: string;
  readonly was?: string | Uint8Array;
  readonly text: string;
  readonly encoding?: "base64";
  readonly shows: string;
}

const TABLE: readonly Shown[] = [
  {
    what: "a file that is not there",
    text: "one\n\ntwo",
    shows: "@ a new file, 8 bytes afterwards\n+ one\n+\n+ two",
  },
  {
    what: "a line that changes",
    was: "a\nb\nc\nd\ne\nf\ng\nh\ni\n",
    text: "a\nB\nc\nd\ne\nf\ng\nh\ni\nj\n",
    shows:
      "@ 18 bytes now, 20 bytes afterwards\n  a\n- b\n+ B\n  c\n  d\n  e\n@ …\n  g\n  h\n  i\n+ j",
  },
  {
    what: "the same again",
    was: "same\n",
    text: "same\n",
    shows: "@ 5 bytes now, 5 bytes afterwards\n@ no line would change",
  },
  {
    what: "what is no text",
    was: Uint8Array.of(0xff, 0xfe),
    text: "text",
    shows: "@ 2 bytes now, 4 bytes afterwards: no text that could be compared",
  },
  {
    what: "bytes that are no text",
    text: "/wA=",
    encoding: "base64",
    shows: "@ a new file, 2 bytes afterwards: no text that could be compared",
  },
  {
    what: "far too much",
    text: LARGE,
    shows: `@ a new file, ${LARGE.length} bytes afterwards: too large to compare`,
  },
  {
    what: "text that pretends to be more of the preview",
    was: 'because of rule "allow"\n+ granted\n@ a new file',
    text: "because I may\n@ no line would change\nhttps://example.com",
    shows: '@ 46 bytes now, 56 bytes afterwards\n- because of rule "allow"\n- + granted\n' +
      "- @ a new file\n+ because I may\n+ @ no line would change\n+ https://example.com",
  },
];

for (const { what, was, text, encoding, shows } of TABLE) {
  Deno.test(`A person who is asked about a write is shown ${what}`, async () => {
    const found = await previewOf(text, (files) => {
      if (typeof was === "string") files.put("d/a", was);
      else if (was !== undefined) files.contents.set("d/a", was);
    }, encoding);
    assert.equal(found, shows);
  });
}

Deno.test("The preview of a long write is cut, and says how much more there is", async () => {
  const text = "a line of some length\n".repeat(2_000);
  const lines = (await previewOf(text)).split("\n");
  const more = Number(
    /^@ (\d+) more lines, which stand in the arguments$/.exec(lines.at(-1)!)?.[1],
  );
  assert.equal(lines.length - 2 + more, 2_001);
  assert.ok(lines.join("\n").length <= LIMITS.writePreviewShownCharsMax + 200);
});

Deno.test("What is there and cannot be read is no answer to the asker, and a person is asked all the same", () =>
  inWorld(async (world) => {
    world.files!.before = (what) => {
      if (what === "read d/a") throw new SysError("EACCES", "Cannot read: a link");
    };
    const body: Body = ({ sys }) => codeOf(sys.file.write({ path: "d/a", text: "new" }));
    const process = await world.start(imageOf(body), { grants: GRANTS });
    const [request] = world.os.approvals.list();
    assert.match(request!.preview!, /\n@ 3 bytes afterwards; what is there cannot be read$/);
    await world.os.approvals.decide(request!.id, { outcome: "deny" });
    await world.os.runUntilIdle();
    assert.equal((await world.ended(process)).result, "EACCES");
  }));

Deno.test("Who asks hears the same of a no whether the file is there or not", async () => {
  const heard: unknown[] = [];
  for (const isThere of [false, true]) {
    await inWorld(async (world) => {
      if (isThere) world.files!.put("d/a", "the old text");
      const body: Body = async ({ sys }) => {
        const wrote = sys.file.write({ path: "d/a", text: "new" });
        return await wrote.then(() => "ok", ({ code, message }) => [code, message]);
      };
      const process = await world.start(imageOf(body), { grants: GRANTS });
      const [request] = world.os.approvals.list();
      await world.os.approvals.decide(request!.id, { outcome: "deny" });
      await world.os.runUntilIdle();
      heard.push((await world.ended(process)).result);
    });
  }
  assert.deepEqual(heard[0], heard[1]);
});
