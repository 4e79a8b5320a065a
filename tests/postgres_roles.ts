/**
 * The roles that docs/postgres.md makes, by the statements that stand there.
 * @module
 */

import type postgres from "postgres";
import { PostgresStore } from "../postgres.ts";

/** Addresses of one schema for each role. */
export interface Roles {
  readonly owner: string;
  readonly node: string;
  readonly reader: string;
}

/** The statements of the page that begin with a comment, for another name than "libos". */
export function statements(of: string, name: string): string {
  const page = Deno.readTextFileSync(new URL("../docs/postgres.md", import.meta.url));
  const block = [...page.matchAll(/```sql\n(-- [^\n]+\n[^]*?)```/g)]
    .map(([, text]) => text!)
    .find((text) => text.startsWith(`-- ${of}`));
  if (block === undefined) throw new Error(`docs/postgres.md has no block "-- ${of}"`);
  return block.replaceAll("libos", name);
}

/** Makes roles whose names begin with `name`; they come in without a password. */
export async function makeRoles(admin: postgres.Sql, name: string): Promise<void> {
  await admin.unsafe(statements("Roles", name));
}

/** A schema of those roles with its tables, made by its owner. */
export async function makeSchema(
  admin: postgres.Sql,
  given: { readonly url: string; readonly roles: string; readonly schema: string },
): Promise<Roles> {
  const { url, roles, schema } = given;
  const as = (role: string): string => {
    const at = new URL(url);
    at.username = `${roles}_${role}`;
    return `${at.href}?schema=${schema}`;
  };
  const [owner, node, reader] = [as("owner"), as("node"), as("reader")];
  const said = (of: string): string =>
    statements(of, schema).replaceAll(new RegExp(`${schema}(?=_(owner|node|reader))`, "g"), roles);
  await admin.unsafe(said("Schema"));
  await (await PostgresStore.open(owner, { connections: 1 })).close();
  await admin.unsafe(`SET ROLE ${roles}_owner; ${said("Rights")}; RESET ROLE;`);
  return { owner, node, reader };
}

/** Takes the roles away, and all they own. */
export async function dropRoles(admin: postgres.Sql, name: string): Promise<void> {
  for (const role of ["owner", "node", "reader"]) {
    await admin.unsafe(`DROP OWNED BY ${name}_${role} CASCADE; DROP ROLE ${name}_${role}`);
  }
}
