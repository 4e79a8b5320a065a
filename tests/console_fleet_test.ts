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
    const node = { name: "node-a", labels: { region: "eu" } };
    const os = await fleet.node({ node, autorun: true });
    await using at = await consolePlace({ os });
    await using other = await fleet.node({ node: { name: "node-b" } });
    await os.spawn(waiter, { goal: "Waits here" });
    await os.spawn(waiter, { goal: "Wants a card", nodeSelector: { gpu: "yes" } });
    const page = await at.open("/view/fleet");
    const row = (name: string) => page.locator("tbody tr", { hasText: name });
    await row("node-a").getByText("active", { exact: true }).waitFor();
    await row("node-a").getByText("region=eu").waitFor();
    await row("node-b").getByText(other.node.options.id).waitFor();
    await row("node-b").getByText(/ago, of/).waitFor();
    await row("node-b").getByText("0.1.0").waitFor();
    await page.getByText("1 with something to do").waitFor();
    await row("Wants a card").getByText("gpu=yes").waitFor();
    await assertSound(page, "fleet");
    await page.getByRole("button", { name: "Cordon node-b" }).click();
    await row("node-b").getByText("cordoned", { exact: true }).waitFor();
    await page.getByText("node-b was told to cordon.").waitFor();
    await page.getByRole("button", { name: "Drain node-b" }).click();
    await row("node-b").getByText("draining", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Uncordon node-b" }).click();
    await row("node-b").getByText("active", { exact: true }).waitFor();
    // What changes elsewhere is seen without a press.
    await os.node.options.store.fleet!()!.order(other.node.options.id, "cordoned");
    await row("node-b").getByText("cordoned", { exact: true }).waitFor();
    const reader = await at.open("/view/fleet", { role: "operator" });
    await reader.getByText("Ordering nodes takes role admin").waitFor();
    assert.equal(await reader.locator("main button").count(), 0);
  }
  await fleet.close();
  await server.stop();
});
