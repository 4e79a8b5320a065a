/**
 * `tools new`: a first tool to change, with its contract and two tests.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { Context } from "./command.ts";
import { UsageError } from "./exit.ts";
import { isFile, makeText } from "./files.ts";
import { show } from "./output.ts";
import { contractFileOf } from "./tool_file.ts";

const SOURCE = `// One default export; no imports. The types of input and os come with it.
export default async ({ path }, os) => {
  const { text } = await os.file.read(path);
  const lines = text === "" ? 0 : text.replace(/\\n$/, "").split("\\n").length;
  os.log(path, "has", lines, "lines");
  return { lines };
};
`;

const READ = { name: "file.read", args: { path: "a.txt" } };

const CONTRACT = {
  description: "Count the lines of a text file",
  inputSchema: {
    type: "object",
    properties: { path: { type: "string" } },
    required: ["path"],
    additionalProperties: false,
  },
  outputSchema: {
    type: "object",
    properties: { lines: { type: "integer" } },
    required: ["lines"],
  },
  rights: ["file.read(./**)"],
  tests: [
    {
      name: "counts",
      input: { path: "a.txt" },
      calls: [{ ...READ, reply: { text: "one\ntwo\n", bytes: 8, sha256: "" } }],
      output: { lines: 2 },
    },
    {
      name: "says what is absent",
      input: { path: "a.txt" },
      calls: [{ ...READ, error: { code: "ENOENT" } }],
      error: { code: "ENOENT" },
    },
  ],
};

/** Writes a tool to begin with into the current folder. */
export async function newTool(at: Context, name: string): Promise<number> {
  if (!/^[a-zA-Z][a-zA-Z0-9_]{0,63}$/.test(name)) {
    const expected = "expected letters, digits and _ after a letter";
    throw new UsageError(`Cannot make tool "${name}": ${expected}`);
  }
  const file = `${name}.ts`;
  const contractFile = contractFileOf(file);
  const contract = `${JSON.stringify({ name, ...CONTRACT }, null, 2)}\n`;
  for (const one of [file, contractFile]) if (await isFile(at, one)) throw exists(name, one);
  // Somebody may have made one just now: what is there is never written over.
  if (!await makeText(at, file, SOURCE)) throw exists(name, file);
  if (!await makeText(at, contractFile, contract)) throw exists(name, contractFile);
  show(at, { name, made: [file, contractFile] }, {
    name: file,
    lines: [
      `made ${file}, ${contractFile}`,
      `Next: libos tools test ${file}`,
      `      libos tools run ${file} --grant 'file.read(./**)' --input '{"path":"./${file}"}'`,
    ],
  });
  return 0;
}

function exists(name: string, file: string): SysError {
  const state = `"${file}" exists, expected another name`;
  return new SysError("EEXIST", `Cannot make tool "${name}": ${state}`);
}
