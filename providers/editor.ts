/**
 * An editor: somebody's own, on a text of ours.
 * @module
 */

import { SysError } from "../kernel/errors.ts";

/** The text as somebody left it in the editor that `command` names; its file is gone afterwards. */
export async function edited(command: string, text: string): Promise<string> {
  const [program, ...args] = command.trim().split(/\s+/);
  // A folder that only its owner enters: what agents ask for is nobody else's to read.
  const folder = await Deno.makeTempDir({ prefix: "libos-edit-" });
  const file = `${folder}/arguments.json`;
  try {
    await Deno.writeTextFile(file, text);
    const streams = { stdin: "inherit", stdout: "inherit", stderr: "inherit" } as const;
    const child = new Deno.Command(program!, { args: [...args, file], ...streams });
    const { success, code } = await child.output();
    if (!success) {
      throw new SysError("ECANCELED", `Cannot edit: "${command}" ended with ${code}, expected 0`);
    }
    return await Deno.readTextFile(file);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new SysError("ENOENT", `Cannot edit: no editor "${command}", expected one in EDITOR`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
