/**
 * The pages of processes in a browser: what they show, as it happens, and what they can be asked.
 * @module
 */

import assert from "node:assert/strict";
import { EVIL, family, IMAGES, listener, notes } from "./console_agents.ts";
import { assertSound, barriers, browserTest, consolePlace } from "./console_place.ts";

const place = async () =>
  await consolePlace({
    runtime: { workspace: await notes(), images: IMAGES },
    serve: { images: IMAGES },
  });

browserTest(
  "Processes stand as trees with what they wait for, and the page is for everybody",
  async () => {
    await using at = await place();
    await family(at.runtime);
    await at.runtime.spawn(listener, { goal: EVIL });
    await at.runtime.runUntilIdle();
    const page = await at.open("/view/processes");
    await page.locator(".badge", { hasText: "waiting/person" }).waitFor();
    const rows = await page.locator("tbody tr").allInnerTexts();
    assert.equal(rows.length, 4);
    assert.match(rows[0]!, /p_1\s.*coordinator.*waiting\/child/s);
    assert.match(rows[1]!, /└p_1\.1\s.*reader.*waiting\/message/s);
    assert.match(rows[2]!, /└p_1\.2\s.*publisher.*waiting\/person/s);
    await assertSound(page, "processes");
  },
);

browserTest(
  "What happens to a process is on the page with the event that tells of it",
  async () => {
    await using at = await place();
    const process = await at.runtime.spawn(listener, { goal: "Listen" });
    await at.runtime.runUntilIdle();
    const page = await at.open("/view/processes?all=true");
    await page.locator(".badge", { hasText: "waiting/message" }).waitFor();
    await page.locator(".live.live").waitFor();
    let loads = 0;
    page.on("framenavigated", () => loads += 1);
    await process.send("hello");
    await page.locator(".badge", { hasText: "exited 0" }).waitFor();
    const other = await at.runtime.spawn(listener, { goal: "Listen too" });
    await page.locator("tbody").getByText(other.pid).waitFor();
    assert.equal(loads, 0);
  },
);

browserTest("Text of agents is shown with every character, and runs nothing", async () => {
  await using at = await place();
  const { pid } = await at.runtime.spawn(listener, { goal: EVIL });
  await at.runtime.runUntilIdle();
  const page = await at.open("/view/processes");
  await page.locator("tbody tr").waitFor();
  const goal = await page.locator("td.goal").innerText();
  assert.equal(
    goal,
    EVIL.replace("\u202e", "\\u{202e}").replace("\u202c", "\\u{202c}").replace(
      "\u200b",
      "\\u{200b}",
    )
      .replaceAll("\u001b", "\\u{1b}"),
  );
  await page.keyboard.press("Control+k");
  // The first options are the pages: a word finds the rest.
  await page.getByRole("dialog").getByRole("combobox").fill(pid);
  await page.getByRole("option", { name: pid }).waitFor();
  assert.equal(
    await page.locator("main img, main script, dialog img, a[href^=javascript]").count(),
    0,
  );
  assert.equal(await page.evaluate("window.evil"), undefined);
});

browserTest(
  "Processes are steered from their row, one by one or several, after a question",
  async () => {
    await using at = await place();
    for (const goal of ["one", "two", "three"]) await at.runtime.spawn(listener, { goal });
    await at.runtime.runUntilIdle();
    const page = await at.open("/view/processes?all=true");
    await page.getByRole("button", { name: "Do with p_1" }).click();
    await page.getByRole("menuitem", { name: "Pause" }).click();
    await page.locator("tr", { hasText: "p_1" }).getByText("paused").waitFor();
    for (const pid of ["p_2", "p_3"]) await page.getByLabel(`Choose ${pid}`).check();
    await page.getByRole("button", { name: "Kill…" }).click();
    await page.getByText("Kill 2 processes?").waitFor();
    assert.deepEqual(await barriers(page), []);
    await page.keyboard.press("Escape");
    assert.equal(await page.getByText("killed").count(), 0);
    await page.getByRole("button", { name: "Kill…" }).click();
    await page.getByLabel("Reason, for the log").fill("not needed");
    await page.getByRole("button", { name: "Kill", exact: true }).click();
    await page.locator(".badge", { hasText: "killed" }).nth(1).waitFor();
    assert.match(await page.locator("tr", { hasText: "p_1" }).innerText(), /paused/);
    const { outcome } = await (await at.runtime.get("p_2"))!.wait();
    assert.deepEqual(outcome, { kind: "killed", by: "admin", reason: "not needed" });
  },
);

browserTest("Who may only look is offered nothing else", async () => {
  await using at = await place();
  await at.runtime.spawn(listener, { goal: "Listen" });
  const page = await at.open("/view/processes", { role: "viewer" });
  await page.locator("tbody tr").waitFor();
  assert.equal(await page.locator("main button, main [type=checkbox][aria-label]").count(), 0);
});
