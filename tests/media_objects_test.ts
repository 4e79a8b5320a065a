/**
 * Media as objects, and in conversations with models: who may see them, what a model is sent, and
 * what is kept in the log.
 * @module
 */

import assert from "node:assert/strict";
import {
  allow,
  defineImage,
  type Model,
  type ModelMessage,
  type ModelRequest,
  openaiCompatibleModel,
} from "../mod.ts";
import { canonical, type Json } from "../kernel/json.ts";
import { mediaOf } from "../kernel/media.ts";
import { fakeOpenAi, says } from "./fake_openai_server.ts";
import { JPEG, PNG, WAV } from "./media_samples.ts";
import { codeOf, CountedFiles, errorOf, inWorld, type World } from "./world_fixture.ts";

const GRANTS = [allow("file.*"), allow("model.generate", "test/*")];
const SHOWN = PNG.toBase64();

type Seen = ModelMessage & { readonly role: "user" | "system" };

/** A model that keeps what it was asked, and takes images or nothing. */
class Eyes implements Model {
  readonly id = "test/eyes";
  readonly asked: ModelRequest[] = [];
  readonly takes?: readonly string[];
  constructor(takes?: readonly string[]) {
    if (takes !== undefined) this.takes = takes;
  }

  /** The first message of the latest prompt. */
  get last(): Seen {
    return this.asked.at(-1)!.messages[0] as Seen;
  }

  generate(request: ModelRequest): ReturnType<Model["generate"]> {
    this.asked.push(request);
    const reply = { text: "Seen", calls: [], finish: "stop" as const };
    return Promise.resolve({ ...reply, inputTokens: 1, outputTokens: 1 });
  }
}

async function inStudio(model: Eyes, job: (world: World) => Promise<void>): Promise<void> {
  const files = new CountedFiles();
  files.contents.set("dot.png", PNG);
  files.contents.set("photo.jpg", JPEG);
  files.contents.set("bell.wav", WAV);
  files.put("note.txt", "A note");
  await inWorld(job, { files, models: [model] });
}

const ask = (parts: readonly Json[], more: Record<string, Json> = {}) => ({
  model: "test/eyes",
  messages: [{ role: "user" as const, text: "What is it?", parts: parts as Json }],
  tools: false,
  ...more,
});

Deno.test("object.import keeps media as what their bytes say, and object.export gives them back", () =>
  inStudio(new Eyes(), async (world) => {
    const result = await world.result(async ({ sys }) => {
      const image = await sys.object.import({ path: "photo.jpg", name: "photo" });
      const sound = await sys.object.import({ path: "bell.wav", name: "bell", type: "audio" });
      const text = await sys.object.import({ path: "note.txt", name: "note" });
      await sys.object.export({ object: "photo", path: "again.jpg" });
      const read = await sys.object.read({ object: "note" });
      const refusals = [
        await codeOf(sys.object.import({ path: "dot.png", name: "a", type: "audio" })),
        await codeOf(sys.object.import({ path: "dot.png", name: "a", type: "text" })),
        await codeOf(sys.object.import({ path: "note.txt", name: "a", type: "image" })),
      ];
      return { image, sound, text, read: read.value, refusals };
    }, { grants: GRANTS }) as Record<string, Record<string, Json>>;
    const { type, width, height, mediaType, bytes } = result["image"]!;
    assert.deepEqual([type, mediaType, width, height], ["image", "image/jpeg", 2, 3]);
    assert.equal(bytes, JPEG.length);
    assert.equal(result["sound"]!["durationMs"], 250);
    assert.deepEqual([result["text"]!["type"], result["read"]], ["text", "A note"]);
    assert.deepEqual(result["refusals"], ["EINVAL", "EINVAL", "EINVAL"]);
    assert.deepEqual(world.files?.contents.get("again.jpg"), JPEG);
  }));

Deno.test("An object of a media type holds what its bytes say and no other claim", () =>
  inStudio(new Eyes(), async (world) => {
    const media = mediaOf(PNG)! as unknown as Record<string, Json>;
    const codes = await world.result(async ({ sys }) => {
      const create = (name: string, type: string, value: Json) =>
        codeOf(sys.object.create({ name, type, value }));
      return [
        await create("a", "image", media),
        await create("b", "image", { ...media, width: 4_000 }),
        await create("c", "image", { ...media, mediaType: "image/svg+xml" }),
        await create("d", "audio", media),
        await create("e", "image", { ...media, base64: btoa("<svg onload=alert(1)>") }),
        await create("f", "actions", { actions: [{ action: "press", args: { key: "a" } }] }),
        await create("g", "actions", { actions: [{ press: "a" }] }),
      ];
    }, { grants: GRANTS });
    assert.deepEqual(codes, ["ok", "EINVAL", "EINVAL", "EINVAL", "EINVAL", "ok", "EINVAL"]);
  }));

Deno.test("A model that takes images is shown an object, and one that does not is told in words", async () => {
  for (const takes of [["image/*"], ["image/png"], ["*/*"], ["audio/*"], undefined]) {
    const model = new Eyes(takes);
    await inStudio(model, async (world) => {
      await world.result(async ({ sys }) => {
        await sys.object.import({ path: "dot.png", name: "dot" });
        await sys.object.import({ path: "note.txt", name: "note" });
        await sys.model.generate(ask([{ object: "dot" }, { object: "note" }]));
      }, { grants: GRANTS });
      const message = model.last;
      assert.match(message.text, /^What is it\?\n\n/);
      assert.match(message.text, /\[Object "note"\]\nA note/);
      if (takes?.[0] === "audio/*" || takes === undefined) {
        assert.equal(message.parts, undefined);
        assert.match(
          message.text,
          /\[Object "dot" \(image\/png, 1×1, \d+ bytes\): this model takes/,
        );
      } else {
        assert.equal(message.parts?.[0]?.media?.base64, SHOWN);
      }
    });
  }
});

Deno.test("What a model does not take is refused by name where the caller says so", () =>
  inStudio(new Eyes(), async (world) => {
    const code = await world.result(async ({ sys }) => {
      await sys.object.import({ path: "dot.png", name: "dot" });
      const refused = ask([{ object: "dot" }], { unsupported: "refuse" });
      const error = await errorOf(sys.model.generate(refused as never));
      return [error?.code ?? "ok", error?.message ?? ""];
    }, { grants: GRANTS }) as string[];
    assert.equal(code[0], "EINVAL");
    assert.match(code[1]!, /Cannot ask model "test\/eyes": it takes no image\/png, expected/);
  }));

Deno.test("A conversation in the log names an object and holds none of its content", () => {
  const model = new Eyes(["image/*"]);
  return inStudio(model, async (world) => {
    await world.result(async ({ sys }) => {
      await sys.object.import({ path: "dot.png", name: "dot" });
      await sys.object.create({ name: "talk", type: "context", list: true });
      const item = { role: "user", text: "What is it?", parts: [{ object: "dot", version: 1 }] };
      await sys.object.append({ object: "talk", item });
      await sys.model.generate({ model: "test/eyes", context: "talk", tools: false });
    }, { grants: GRANTS });
    const message = model.last;
    assert.equal(message.parts?.[0]?.media?.base64, SHOWN);
    const naming = (await world.lines()).filter((line) =>
      canonical(line.data as Json).includes(SHOWN)
    );
    assert.deepEqual(naming.map(({ type }) => type), ["object.created"]);
  });
});

Deno.test("An object that may not be read and one that is not there are told of alike", () => {
  const model = new Eyes(["image/*"]);
  return inStudio(model, async (world) => {
    const parent = await world.start(
      defineImage({
        name: "keeper",
        program: async ({ sys }) => {
          await sys.object.import({ path: "dot.png", name: "dot" });
          await sys.message.receive({});
        },
      }),
      { grants: GRANTS },
    );
    const secret = `/${parent.pid}/dot`;
    await world.result(async ({ sys }) => {
      assert.equal(await codeOf(sys.model.generate(ask([{ object: secret }]))), "EPERM");
      await sys.object.create({ name: "talk", type: "context", list: true });
      const parts = [{ object: secret }, { object: "absent" }, { object: "../x" }];
      await sys.object.append({ object: "talk", item: { role: "user", text: "Look", parts } });
      await sys.model.generate({ model: "test/eyes", context: "talk", tools: false });
    }, { grants: GRANTS });
    const message = model.last;
    assert.equal(message.parts, undefined);
    for (const name of [secret, "absent"]) {
      assert.match(message.text, new RegExp(`\\[Object "${name}": absent, or not to be read\\]`));
    }
  });
});

Deno.test("Media are found by name, and never put into a prompt as words", () => {
  const model = new Eyes(["image/*"]);
  return inStudio(model, async (world) => {
    const result = await world.result(async ({ sys }) => {
      await sys.object.import({ path: "dot.png", name: "red/dot" });
      await sys.object.create({ name: "talk", type: "context", list: true });
      const text = "Where is the red dot in png base64, with its sha256?";
      await sys.object.append({ object: "talk", item: { role: "user", text } });
      const more = { window: 4_000, recall: 8, tools: false };
      await sys.model.generate({ model: "test/eyes", context: "talk", ...more });
      const { found } = await sys.object.find({ query: "red dot" });
      const pinned = await codeOf(sys.context.pin({ object: "red/dot", kind: "fact" }));
      return [found.map(({ name }) => name), pinned] as unknown as Json;
    }, { grants: GRANTS });
    assert.deepEqual(result, [["red/dot", "talk"], "EINVAL"]);
    assert.ok(!JSON.stringify(model.asked).includes(SHOWN.slice(0, 20)));
  });
});

Deno.test("Content that is written into a message goes to no model", () => {
  const model = new Eyes(["image/*"]);
  return inStudio(model, async (world) => {
    const media = { mediaType: "text/html", base64: btoa("<script>"), bytes: 8, sha256: "" };
    await world.result(async ({ sys }) => {
      await sys.object.create({ name: "x", value: "words" });
      await sys.model.generate(ask([{ media }, { object: "x", media }]));
    }, { grants: GRANTS });
    const message = model.last;
    assert.equal(message.parts, undefined);
    assert.match(message.text, /words/);
  });
});

Deno.test("An agent that reads an image sees it in its next turn", async () => {
  await using server = fakeOpenAi([
    says("", { calls: [{ name: "object_import", args: { path: "dot.png", name: "dot" } }] }),
    says("", { calls: [{ name: "object_read", args: { object: "dot" } }] }),
    says("A dot"),
  ]);
  const files = new CountedFiles();
  files.contents.set("dot.png", PNG);
  const model = openaiCompatibleModel({
    url: server.url,
    modelId: "eyes",
    name: "test",
    takes: ["image/*"],
  });
  await inWorld(async (world) => {
    const image = defineImage({ name: "viewer", model, instructions: "Look." });
    const viewer = await world.start(image, { grants: GRANTS });
    assert.equal((await world.ended(viewer)).result, "A dot");
    const messages = server.requests.at(-1)!.body.messages;
    const told = messages.find(({ role, content }) => role === "tool" && content?.includes("1×1"));
    assert.ok(told, "the result of the call is words");
    assert.ok(!JSON.stringify(told).includes(SHOWN), "the result of the call has no content");
    assert.deepEqual(messages.at(-1)?.content, [
      { type: "text", text: '[Shown, as asked for: "dot"]' },
      { type: "image_url", image_url: { url: `data:image/png;base64,${SHOWN}` } },
    ]);
  }, { files });
});
