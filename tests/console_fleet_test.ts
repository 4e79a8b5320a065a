/**
 * The page of the nodes in a browser.
 * @module
 */

import assert from "node:assert/strict";
import { assertSound, browserTest, consolePlace, hasBrowser } from "./console_place.ts";
import { FleetPlace, waiter } from "./fleet_place.ts";
import { noPostgres, startPostgres } from "./postgres_place.ts";

browserTest(
  "A node that has its store alone is shown, with one sentence and no order",
  async () => {
    await using at = await consolePlace();
    const page = await at.open("/view/fleet");
    await page.getByText("One node has this store alone").waitFor();
    await page.getByText(at.runtime.node.options.id).first().waitFor();
    assert.equal(await page.locator("main button").count(), 0);
    await assertSound(page, "fleet-alone");
  },
);

const test = noPostgres() === undefined && hasBrowser() ? browserTest : () => {};

test("Nodes are shown with what they do, told what to do, and trees nobody has are named", async () => {
  const server = await startPostgres(["fsync=off"]);
  const fleet = new FleetPlace(server.url, `libos_console_fleet_${Deno.pid}`);
  {
    const node = { name: "oslo", labels: { region: "eu" } };
    // What is no standby is not read, and the page says so.
    const os = await fleet.node({ node, autorun: true, readUrl: fleet.url });
    await using at = await consolePlace({ os });
    await using other = await fleet.node({ node: { name: "lima" } });
    await os.spawn(waiter, { goal: "Waits here" });
    await os.spawn(waiter, { goal: "Wants a card", nodeSelector: { gpu: "yes" } });
    const page = await at.open("/view/fleet");
    const row = (name: string) => page.locator("tbody tr", { hasText: name });
    await row("oslo").getByText("active", { exact: true }).waitFor();
    await row("oslo").getByText("region=eu").waitFor();
    await row("lima").getByText(other.node.options.id).waitFor();
    await row("lima").getByText(/ago, of/).waitFor();
    await row("lima").getByText("0.1.0").waitFor();
    await page.getByText("1 with something to do").waitFor();
    await row("Wants a card").getByText("gpu=yes").waitFor();
    const replica = page.locator("section", { hasText: "Replica" });
    await replica.getByText("refused", { exact: true }).waitFor();
    await replica.getByText(/it takes writes, .* expected a standby: the primary is read/)
      .waitFor();
    await assertSound(page, "fleet");
    await page.getByRole("button", { name: "Cordon lima" }).click();
    await row("lima").getByText("cordoned", { exact: true }).waitFor();
    await page.getByText("lima was told to cordon.").waitFor();
    // What an order did may be seen before its answer: the next is taken when that has come.
    const goesOn = Promise.withResolvers<void>();
    await page.route(/\/drain$/, async (route) => {
      const response = await route.fetch();
      await goesOn.promise;
      await route.fulfill({ response });
    });
    await page.getByRole("button", { name: "Drain lima" }).click();
    await row("lima").getByText("draining", { exact: true }).waitFor();
    const uncordon = page.getByRole("button", { name: "Uncordon lima" });
    assert.equal(await uncordon.getAttribute("aria-disabled"), "true");
    goesOn.resolve();
    await uncordon.click();
    await row("lima").getByText("active", { exact: true }).waitFor();
    // What changes elsewhere is seen without a press.
    await os.node.options.store.fleet!()!.order(other.node.options.id, "cordoned");
    await row("lima").getByText("cordoned", { exact: true }).waitFor();
    const reader = await at.open("/view/fleet", { role: "operator" });
    await reader.getByText("Ordering nodes takes role admin").waitFor();
    assert.equal(await reader.locator("main button").count(), 0);
  }
  await fleet.close();
  await server.stop();
});
