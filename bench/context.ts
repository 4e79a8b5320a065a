/**
 * Contexts: what is kept, what is recalled, and what putting a prompt together costs.
 * @module
 */

import { totalOf } from "../kernel/context.ts";
import { defineImage } from "../mod.ts";
import type { Program } from "../runtime/program.ts";
import { MemoryStore, VirtualClock } from "../testing.ts";
import {
  constraint,
  countChars,
  filler,
  type Heard,
  KeepingModel,
  needle,
  play,
  promptText,
} from "../tests/context_fixture.ts";
import { imageOf, START_MS, World } from "../tests/world_fixture.ts";
import {
  type Extent,
  infoRow,
  numberRow,
  type Row,
  type Section,
  timed,
  timeRow,
  times,
} from "./measure.ts";

const PINS = 20;
const PART = 0.25;
const NEEDLES = 100;
const OBJECTS = 10_000;
const OBJECTS_PER_STEP = 1_000;
const TURNS = 200;
const LOOKS = 60;

/** How many of all pins are word for word in all prompts, and how many prompts were too large. */
async function keeping(turns: number): Promise<{ kept: number; over: number; manifest: number }> {
  const world = new World();
  const model = new KeepingModel();
  let heard: Heard | undefined;
  await world.start(imageOf(async ({ sys }) => {
    heard = await play(sys, model.id, { turns, part: PART, pins: PINS, needles: 0, compact: true });
  }, { model }));
  await world.os.close();
  const texts = model.prompts.map(promptText);
  const isKept = (n: number): boolean => texts.every((text) => text.includes(constraint(n).text));
  return {
    kept: Array.from({ length: PINS }, (_, n) => n).filter(isKept).length,
    over: model.prompts.filter((each) => totalOf(each, countChars) > heard!.window).length,
    manifest: Math.max(...heard!.manifests.map((each) => JSON.stringify(each).length)),
  };
}

/** The part of the needles that is recalled, and by how much prompts are shorter than the whole. */
async function recalling(): Promise<{ recall: number; compression: number }> {
  const world = new World();
  const model = new KeepingModel();
  let found = 0;
  let tokens = 0;
  let whole = 0;
  await world.start(imageOf(async ({ sys }) => {
    const talk = { turns: 1_000, part: PART, pins: PINS, needles: NEEDLES, compact: true };
    const heard = await play(sys, model.id, talk);
    whole = heard.whole;
    for (let n = 0; n < NEEDLES; n++) {
      const { ask, answer } = needle(n);
      await sys.object.append({ object: "context", item: { role: "user", text: ask } as never });
      const { window } = heard;
      await sys.model.generate({ model: model.id, context: "context", window, tools: false });
      const last = model.prompts.at(-1)!;
      tokens += totalOf(last, countChars) / NEEDLES;
      if (promptText(last).includes(answer)) found += 1;
    }
  }, { model }));
  await world.os.close();
  return { recall: found / NEEDLES, compression: whole / tokens };
}

/** A program which fills its memory, sleeps, and then looks at what its next prompt would be. */
function looker(looks: number[]): Program {
  return async ({ sys, step }) => {
    const steps = OBJECTS / OBJECTS_PER_STEP;
    if (step <= steps) {
      const from = (step - 1) * OBJECTS_PER_STEP;
      if (step === 1) await sys.object.create({ name: "context", type: "context", list: true });
      for (let n = from; n < from + OBJECTS_PER_STEP; n++) {
        const value = `${filler(n)} ${needle(n).text}`;
        await sys.object.create({ name: `notes/${n}`, type: "text", value });
      }
      for (let n = 0; n < TURNS / steps; n++) {
        const item = { role: "user", text: filler(OBJECTS + step * 1_000 + n) } as never;
        await sys.object.append({ object: "context", item });
      }
      return;
    }
    if (step === steps + 1) return void await sys.clock.sleep({ ms: 1_000 });
    for (let n = 0; n < LOOKS; n++) {
      const item = { role: "user", text: needle(n * 97).ask } as never;
      await sys.object.append({ object: "context", item });
      const asked = { context: "context", window: 8_000 };
      looks.push(await timed(() => sys.context.inspect(asked)));
    }
    await sys.process.exit({});
  };
}

/** What one look costs among many objects: the first after a restart, and all after it. */
async function looking(): Promise<{ first: number; later: number[] }> {
  const store = new MemoryStore();
  const clock = new VirtualClock(START_MS);
  const looks: number[] = [];
  const image = defineImage({ name: "looker", program: looker(looks) });
  const before = new World({ store, clock });
  await before.start(image);
  // Thrown away, as after a kill: closing it would close the store.
  await before.os.node.durable(await before.tree());
  const after = new World({ store, clock, images: [image] });
  await after.pass(2_000);
  await after.untilDone();
  await after.os.close();
  const [first, ...later] = looks;
  return { first: first!, later };
}

/** All that is claimed of contexts. */
export async function context(_: Extent): Promise<Section> {
  const rows: Row[] = [];
  for (const turns of [50, 500]) {
    const { kept, over, manifest } = await keeping(turns);
    const what = `${turns} turns, a ${PART * 100} % window`;
    rows.push(
      numberRow(`Pins word for word in every prompt, ${what}`, kept, {
        atLeast: PINS,
        unit: `of ${PINS}`,
      }),
      numberRow(`Prompts over their window, ${what}`, over, { atMost: 0, unit: "" }),
      numberRow(`Largest manifest, ${what}`, manifest, { atMost: 1_024, unit: "bytes" }),
    );
  }
  const { recall, compression } = await recalling();
  rows.push(
    numberRow(`Needles recalled of ${NEEDLES}, 1,000 turns`, recall, { atLeast: 0.95, unit: "" }),
    numberRow("The whole conversation is longer than such a prompt by", compression, { unit: "×" }),
  );
  const { first, later } = await looking();
  const measured = times(later);
  const what = `Putting a prompt together, ${OBJECTS.toLocaleString("en")} objects`;
  rows.push({ ...timeRow(what, measured, 50), target: "p95 ≤ 50 ms", met: measured.p95 <= 50 });
  rows.push(infoRow("The first after a restart, which reads and indexes all", times([first])));
  return {
    title: "Contexts",
    rows,
    notes: [
      "Tokens are characters here, so that no figure rests on an estimate.",
      "Half of the pins say what is not so. The model is one that keeps what it is sent.",
    ],
  };
}
