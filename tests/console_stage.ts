/**
 * A store with a life behind it: the demo's, a kernel that was killed in the middle of a write, and
 * agents that want something of a person in each of the ways there are.
 *
 * Invariants:
 *   S1. Everything on it came to be by calls: nothing is written into the store by hand.
 * @module
 */

import { join } from "node:path";
import { type AgentImage, allow, ask, defineImage, deny, type Runtime } from "../mod.ts";
import type { RuntimeOptions } from "../mod.ts";
import { coordinator, publisher, reader, SlowModel, talker } from "./console_agents.ts";
import { scratch } from "./scratch.ts";

const ROOT = new URL("../", import.meta.url).pathname;

/** A folder and a store that a kernel was killed over. */
export async function firstLife(): Promise<{ readonly folder: string; readonly db: string }> {
  const root = scratch();
  const [folder, db] = [join(root, "harbour"), join(root, "demo.db")];
  await copy(join(ROOT, "demos/sample"), folder);
  await Deno.mkdir(join(folder, "out"));
  await Deno.writeTextFile(join(folder, "out/report.md"), REPORT);
  await Deno.writeTextFile(join(folder, "notes/monday.txt"), "Two meetings\n");
  await Deno.writeTextFile(join(folder, "notes/.env"), "TOKEN=1\n");
  await Deno.writeTextFile(join(folder, "ledger.csv"), "date,what,amount\n");
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", join(ROOT, "tests/console_stage_child.ts"), folder, db],
    stdout: "piped",
  }).spawn();
  const said = child.stdout.getReader();
  await said.read();
  child.kill("SIGKILL");
  await child.status;
  await said.cancel();
  // Neither what was there nor what was written: only a person can tell.
  await Deno.writeTextFile(join(folder, "ledger.csv"), "date,what,amount\n2026-11-19,fish,12\n");
  return { folder, db };
}

async function copy(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (name === ".libos") continue;
    if (isDirectory) await copy(join(from, name), join(to, name));
    else await Deno.copyFile(join(from, name), join(to, name));
  }
}

const REPORT =
  "# Harbour shop, week 46\n\nRevenue: 1,204.50\nOpen tickets: 3\n\nNothing unusual.\n";
const NEXT = "# Harbour shop, week 47\n\nRevenue: 1,371.00\nOpen tickets: 2\n\nNothing unusual.\n" +
  "The landing fee was paid.\n";

/** Writes, and does not hear whether it was written. */
export const bookkeeper = defineImage({
  name: "bookkeeper",
  program: async ({ sys }) => {
    const before = await sys.file.read({ path: "./ledger.csv" });
    const text = `${before.text}2026-11-20,landing fee,-40.00\n`;
    await sys.file.write({ path: "./ledger.csv", text });
    await sys.process.exit({});
  },
});

const writer = defineImage({
  name: "reporter",
  program: async ({ sys }) => {
    const { text } = await sys.file.read({ path: "./out/report.md" });
    await sys.object.create({ name: "report", type: "text", mutable: true, value: text });
    await sys.object.write({ object: "report", value: NEXT, from: 1 });
    await sys.file.write({ path: "./out/report.md", text: NEXT });
    await sys.process.exit({});
  },
});

const buyer = defineImage({
  name: "buyer",
  program: async ({ sys }) => {
    await sys.capability.request({
      rule: "net.fetch(https://prices.rope.example/v1/list?unit=m)",
      reason: "I compare what the suppliers want for rope.",
    });
    await sys.message.receive({});
  },
});

const indexer = defineImage({
  name: "indexer",
  program: async ({ sys }) => {
    await sys.budget.raise({
      limits: { toolCalls: 200, tokens: 80_000 },
      reason: "Half of the tickets are still to be read.",
    });
  },
});

const planner = defineImage({
  name: "planner",
  program: async ({ sys }) => {
    await sys.human.ask({
      prompt: "Which quarter should the forecast be for, and how careful should it be?",
      schema: {
        type: "object",
        required: ["quarter"],
        properties: {
          quarter: { enum: ["Q1", "Q2", "Q3", "Q4"] },
          careful: { type: "boolean", description: "rather too low than too high" },
        },
      },
    });
  },
});

const importer = defineImage({
  name: "importer",
  program: async ({ sys }) => {
    await sys.file.read({ path: "./data/tickets.csv" });
    throw new Error('row 12 has no column "opened"');
  },
});

/** A tool, as a model would write it. */
export const CSV_SUM = {
  name: "csv_sum",
  description: "Sum a column of a CSV file",
  inputSchema: {
    type: "object",
    properties: { path: { type: "string" }, column: { type: "string" } },
    required: ["path", "column"],
    additionalProperties: false,
  },
  outputSchema: {
    type: "object",
    properties: { total: { type: "number" }, rows: { type: "integer" } },
    required: ["total", "rows"],
  },
  rights: ["file.read(./*.csv)"],
  tests: [{
    name: "sums a column",
    input: { path: "a.csv", column: "n" },
    calls: [{
      name: "file.read",
      args: { path: "a.csv" },
      reply: { text: "k,n\nx,1.5\ny,2\n", bytes: 14, sha256: "" },
    }],
    output: { total: 3.5, rows: 2 },
  }],
  source: `export default async ({ path, column }, os) => {
  const { text } = await os.file.read(path);
  const [head = "", ...rows] = text.trim().split(/\\r?\\n/);
  const at = head.split(",").indexOf(column);
  if (at < 0) throw new Error(\`No column "\${column}"\`);
  let total = 0;
  for (const row of rows) total += Number(row.split(",")[at]);
  return { total, rows: rows.length };
};
`,
};
/** The same, which reads more, and says how many rows it left out. */
export const CSV_SUM_NEXT = {
  ...CSV_SUM,
  rights: ["file.read(./*.csv)", "file.list(./data/**)"],
  tests: CSV_SUM.tests.map((test) => ({
    ...test,
    calls: [...test.calls, { name: "file.list", args: { path: "./data" }, reply: { entries: [] } }],
  })),
  source: CSV_SUM.source.replace(
    "  let total = 0;\n",
    '  const known = await os.file.list("./data");\n  os.log(known.entries.length);\n' +
      "  let total = 0;\n",
  ),
};

const toolmaker = defineImage({
  name: "toolmaker",
  program: async ({ sys }) => {
    for (const proposal of [CSV_SUM, CSV_SUM_NEXT]) {
      const { tool } = await sys.tool.propose(proposal as never);
      await sys.tool.test({ tool });
      await sys.tool.register({ tool });
      await sys.tool.call({ name: "csv_sum", input: { path: "./q3.csv", column: "revenue" } });
    }
  },
});

/** Images of the stage. */
export const STAGE_IMAGES: readonly AgentImage[] = [
  bookkeeper,
  coordinator,
  reader,
  publisher,
  writer,
  buyer,
  indexer,
  planner,
  importer,
  toolmaker,
];

/** Options of its runtime. */
export function stageOptions(at: { readonly folder: string; readonly db: string }): RuntimeOptions {
  return {
    store: at.db,
    workspace: at.folder,
    images: STAGE_IMAGES,
    policy: [
      "deny file.read(**/.env)",
      "ask file.write(./out/**) because it is read by the whole crew",
    ].join("\n"),
    jit: { isolation: "process", review: "always", memoryMb: 128, timeout: "5s" },
  };
}

/** Starts everybody; comes back when all of them wait. */
export async function play(os: Runtime): Promise<{ readonly model: SlowModel }> {
  const files = [
    allow("file.read", "./**"),
    allow("file.list", "./**"),
    allow("file.write", "./out/**"),
  ];
  const labels = { team: "shop" };
  await os.spawn(toolmaker, {
    goal: "What is the revenue in ./q3.csv?",
    labels,
    grants: [...files, allow("tool.register", "csv_*")],
  });
  const [review] = await reviews(os);
  await os.approvals.decide(review!, { outcome: "approve", scope: "once" }, { actor: "ada" });
  await os.spawn(coordinator, {
    goal: "Publish the weekly report",
    images: [reader, publisher],
    labels: { team: "ops" },
    budget: { tokens: 50_000, usd: 2, toolCalls: 20 },
    grants: [
      allow("file.read", "./notes/**"),
      ask("file.write", "./out/**"),
      allow("process.spawn"),
      deny("file.read", "**/.env"),
    ],
  });
  const budget = { tokens: 40_000, toolCalls: 100, usd: 1 };
  const weekly = await os.spawn(writer, {
    goal: "Write this week's report",
    labels,
    grants: files,
  });
  await os.spawn(buyer, {
    goal: "Find cheaper rope",
    labels,
    ceiling: [allow("net.fetch", "https://**")],
  });
  await os.spawn(indexer, { goal: "Index the tickets", labels, budget });
  await os.spawn(planner, {
    goal: "Forecast the revenue",
    labels,
    grants: [allow("human.ask")],
  });
  await os.spawn(importer, { goal: "Import the tickets", labels, grants: files });
  const model = new SlowModel();
  await os.spawn(talker(model), {
    goal: "What is on Monday?",
    labels: { team: "ops" },
    budget,
    grants: [allow("file.read", "./notes/**")],
  });
  await model.begun();
  await weekly.checkpoint("before the report");
  await reviews(os);
  return { model };
}

/** The tools that wait for a person. */
async function reviews(os: Runtime): Promise<`req_${string}`[]> {
  for (;;) {
    const found = os.approvals.list().filter(({ kind }) => kind === "review");
    if (found.length > 0) return found.map(({ id }) => id) as `req_${string}`[];
    await new Promise((next) => setTimeout(next, 50));
  }
}
