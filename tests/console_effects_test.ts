/**
 * The console's page of effects in doubt in a browser: what they were sent with is shown on demand.
 * @module
 */

import assert from "node:assert/strict";
import { type AgentImage, allow, defineImage } from "../mod.ts";
import type { ModelReply } from "../kernel/world.ts";
import { contentOptions, EVIL, IMAGES } from "./console_content.ts";
import { assertSound, browserTest, consolePlace } from "./console_place.ts";

/** Asks a model that says nothing until it is told to. */
function speechless(): { readonly image: AgentImage; readonly speak: () => void } {
  const { promise, resolve } = Promise.withResolvers<ModelReply>();
  const image = defineImage({
    name: "speechless",
    model: { id: "silent/model", generate: () => promise },
    program: async ({ sys }) => {
      await sys.model.generate({
        model: "silent/model",
        messages: [{ role: "user", text: EVIL }],
      });
    },
  });
  const finish = "stop" as const;
  const said = { text: "Done", calls: [], finish, inputTokens: 1, outputTokens: 1 };
  return { image, speak: () => resolve(said) };
}

browserTest(
  "What an effect was sent with is shown to an operator who asks, as text, and the log says so",
  async () => {
    await using at = await consolePlace({
      runtime: await contentOptions(),
      serve: { images: IMAGES },
    });
    const { image, speak } = speechless();
    // Whatever fails: nobody waits for it any more.
    using _over = { [Symbol.dispose]: speak };
    await at.runtime.spawn(image, { goal: "Think", grants: [allow("model.generate", "**")] });
    const page = await at.open("/view/effects");
    const looks = async (): Promise<unknown[]> =>
      (await Array.fromAsync(at.runtime.log("t_1")))
        .filter(({ type, data }) =>
          type === "inbox.taken" && (data as { what: string }).what.startsWith("reveal ")
        )
        .map(({ data }) => (data as { by: string }).by);
    await page.getByText("will say that admin looked").waitFor();
    const shown = page.getByRole("region", { name: /^Arguments of p_1#/ });
    assert.equal(await shown.count(), 0);
    assert.deepEqual(await looks(), []);
    await page.getByRole("button", { name: "Reveal arguments" }).click();
    await shown.getByText("\\u202etxt.exe").waitFor();
    assert.equal(await page.locator("main img, main script").count(), 0);
    assert.equal(await page.evaluate("window.evil"), undefined);
    assert.deepEqual(await looks(), ["admin"]);
    await assertSound(page, "effects-revealed");
    await page.getByRole("button", { name: "Close arguments" }).click();
    await shown.waitFor({ state: "detached" });

    const approver = await at.open("/view/effects", { role: "approver" });
    await approver.getByText("Looking at arguments takes role operator").waitFor();
    assert.equal(await approver.getByRole("button", { name: "Reveal arguments" }).count(), 0);
    assert.deepEqual(await looks(), ["admin"]);
  },
);
