/**
 * All hostile bodies: what the files of `bodies/` export, in the order of their names.
 * @module
 */

import type { Hostile } from "./hostile.ts";

/** All hostile bodies. A body is known by its number here, and by its name. */
export async function allBodies(): Promise<readonly Hostile[]> {
  const folder = new URL("bodies/", import.meta.url);
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
  const bodies: Hostile[] = [];
  for (const name of names.filter((one) => one.endsWith(".ts")).sort()) {
    const module: { readonly BODIES?: readonly Hostile[] } = await import(
      new URL(name, folder).href
    );
    bodies.push(...module.BODIES ?? []);
  }
  return bodies;
}
