/**
 * The console by keyboard from each of its pages, and what it tells who looks elsewhere.
 * @module
 */

import assert from "node:assert/strict";
import { allow, defineImage } from "../mod.ts";
import { browserTest, type ConsolePlace, consolePlace, pressAll } from "./console_place.ts";
import { EVIL } from "./console_agents.ts";
import { scratch } from "./scratch.ts";

const writer = defineImage({
  name: "writer",
  program: async ({ sys, goal }) => {
    await sys.file.write({ path: `./out/${goal}`, text: "x" });
    await sys.process.exit({ result: "written" });
  },
});

const asker = defineImage({
  name: "asker",
  program: async ({ sys, goal }) => {
    await sys.human.ask({ prompt: goal });
  },
});

async function desk(): Promise<ConsolePlace> {
  const workspace = scratch();
  await Deno.mkdir(`${workspace}/out`);
  return await consolePlace({ runtime: { workspace, policy: "ask file.write(./out/**)" } });
}

const write = async (at: ConsolePlace, name: string) =>
  await at.runtime.spawn(writer, { goal: name, grants: [allow("file.write", "./out/**")] });

/** Keys that lead to a page, and the page's heading. */
const PAGES: readonly (readonly [keys: string, path: string, heading: string])[] = [
  ["g o", "/", "Overview"],
  ["g p", "/view/processes", "Processes"],
  ["g a", "/approvals", "Approvals"],
  ["g h", "/approvals/decided", "Decided"],
  ["g c", "/view/capabilities", "Capabilities"],
  ["g m", "/view/objects", "Objects"],
  ["g t", "/view/tools", "Tools"],
  ["g i", "/view/images", "Images"],
  ["g k", "/view/checkpoints", "Checkpoints"],
  ["g e", "/view/audit", "Audit and replay"],
  ["g b", "/view/budgets", "Budgets"],
  ["g d", "/view/effects", "Effects in doubt"],
  ["g y", "/view/tokens", "Tokens"],
];
/** Pages that only links lead to. */
const OTHERS = ["/p/p_1", "/p/p_1?tab=conversation", "/p/p_1?tab=lines", "/view/objects/obj_1.1"];

browserTest("Two keys lead from every page to every other", async () => {
  await using at = await desk();
  const page = await at.open("/");
  for (const [keys, path, heading] of [...PAGES.slice(1), PAGES[0]!]) {
    await pressAll(page, keys);
    // A page that is there has the focus soon, for who reads by ear.
    await page.locator("h1:focus", { hasText: heading }).waitFor();
    assert.equal(new URL(page.url()).pathname, path);
  }
});

browserTest("Four keys approve what waits, from every page there is", async () => {
  await using at = await desk();
  const page = await at.open("/");
  for (const path of [...PAGES.map(([, path]) => path), ...OTHERS]) {
    const process = await write(at, "report");
    await page.goto(`${at.server.url}${path}`);
    await page.locator("nav .count", { hasText: "1" }).waitFor();
    await pressAll(page, "g a");
    await page.getByRole("button", { name: "Approve once" }).waitFor();
    await page.keyboard.press("a");
    await page.locator("[data-yes]:focus").waitFor();
    await page.keyboard.press("Enter");
    assert.equal((await process.wait()).result, "written", path);
  }
});

/** What a page was told to show, instead of what a desktop shows. */
const HEARD = `
  globalThis.heard = [];
  globalThis.Notification = new Proxy(Notification, {
    construct: (Real, args) => {
      heard.push(args);
      onHeard();
      return Reflect.construct(Real, args);
    },
  });
  Object.defineProperty(document, "hidden", { get: () => globalThis.isAway === true });
`;

browserTest(
  "Who looks elsewhere is told of a request on the desktop, in one line of plain text",
  async () => {
    await using at = await desk();
    const page = await at.open("/", { hasProfile: true });
    await page.context().grantPermissions(["notifications"], { origin: at.server.url });
    const heard = Promise.withResolvers<void>();
    await page.context().exposeFunction("onHeard", () => heard.resolve());
    await page.context().addInitScript(HEARD);
    await page.goto(`${at.server.url}/view/processes`);
    await page.locator(".live.live").waitFor();
    await page.getByText("processes", { exact: false }).first().waitFor();
    await write(at, "seen");
    await page.locator("nav .count", { hasText: "1" }).waitFor();
    assert.deepEqual(await page.evaluate("heard"), [], "who looks is not told twice");
    await page.evaluate("globalThis.isAway = true");
    const prompt = `${EVIL}\n${"long ".repeat(100)}`;
    await at.runtime.spawn(asker, { goal: prompt, grants: [allow("human.ask")] });
    await heard.promise;
    const [[title, { body, tag, ...more }]] = await page.evaluate("heard") as [
      [string, { body: string; tag: string }],
    ];
    assert.match(title, /^\w+: question$/);
    assert(body.startsWith("<img src=x"), body);
    assert(body.length <= 200 && !/[\p{Cc}\p{Cf}]/u.test(body), body);
    assert.match(tag, /^req_2\.1$/);
    assert.deepEqual(more, {});
    await page.context().close();
  },
);

browserTest(
  "Of two tabs of one session that decide at once one wins, and both say how",
  async () => {
    await using at = await desk();
    const process = await write(at, "a");
    const one = await at.open("/approvals", { role: "approver" });
    const two = await one.context().newPage();
    await two.goto(`${at.server.url}/approvals`);
    // Who decided is heard, and not read: what its asker was told waits for nobody any more.
    for (const page of [one, two]) await page.locator(".live.live").waitFor();
    let held = 0;
    const both = Promise.withResolvers<void>();
    await one.context().route(/decision$/, async (route) => {
      held += 1;
      if (held === 2) both.resolve();
      await both.promise;
      await route.continue();
    });
    const codes = await Promise.all([one, two].map(async (page) => {
      const [answer] = await Promise.all([
        page.waitForResponse(/decision$/),
        page.getByRole("button", { name: "Approve once" }).click(),
      ]);
      return answer.status();
    }));
    assert.deepEqual(codes.toSorted(), [200, 409]);
    const loser = codes[0] === 200 ? two : one;
    await loser.getByText("Decided by approver: approved.").waitFor();
    assert.equal((await process.wait()).result, "written");
  },
);

browserTest("Who wants no motion sees none", async () => {
  await using at = await desk();
  const page = await at.open("/");
  for (const [, path] of PAGES) {
    await page.goto(`${at.server.url}${path}`);
    await page.locator("main h1").waitFor();
    assert.equal(await page.evaluate("document.getAnimations().length"), 0, path);
  }
});
