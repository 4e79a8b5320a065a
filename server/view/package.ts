/**
 * Packages as the API and the command line show them: what is asked for first.
 * @module
 */

import { sha256 } from "../../kernel/json.ts";
import type { Package } from "../../runtime/package.ts";
import { contentOf, skillsIn } from "../../runtime/package_files.ts";
import type { PackageView } from "../schema/package.ts";

/** A package. */
export function packageView({ hash, body, signatures }: Package): PackageView {
  return {
    ref: `${body.name}@${body.version}`,
    hash,
    needs: [...body.needs],
    model: body.model,
    libc: body.libc === null ? null : [...body.libc],
    budget: { ...body.budget } as Record<string, number>,
    maxSteps: body.maxSteps,
    tools: body.tools.map(({ name, description, rights, tests, source }) => ({
      name,
      description,
      rights: [...rights],
      tests: tests.length,
      source,
    })),
    skills: skillsIn(body.files).map(({ name, description, allowedTools }) => ({
      name,
      description,
      allowedTools: allowedTools ?? null,
    })),
    files: body.files.map((file) => {
      const bytes = contentOf(file);
      return { path: file.path, bytes: bytes.length, sha256: sha256(bytes) };
    }),
    instructions: body.instructions,
    signedBy: signatures.map(({ key }) => key),
  };
}
