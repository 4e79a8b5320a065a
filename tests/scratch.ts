/**
 * Folders of a file's tests, which are removed when the last of them is over.
 * @module
 */

/** Makes one. */
export function scratch(): string {
  const folder = Deno.makeTempDirSync({ prefix: "libos-scratch-" });
  globalThis.addEventListener("unload", () => {
    try {
      Deno.removeSync(folder, { recursive: true });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  });
  return folder;
}
