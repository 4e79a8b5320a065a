/**
 * A package as people look at it: what it asks for first, since that is what they decide about.
 * @module
 */

import type { Package } from "../runtime/package.ts";
import { packageView } from "../server/view/package.ts";
import type { Context } from "./command.ts";
import { EXIT } from "./exit.ts";
import { show } from "./output.ts";

/** Shows a package. */
export function inspectPackage(at: Context, one: Package): number {
  const view = packageView(one);
  const { needs, tools, skills, files, budget } = view;
  show(at, view, {
    name: view.ref,
    lines: [
      `Image:    ${view.ref}  sha256:${view.hash}`,
      `Asks for: ${needs.length === 0 ? "nothing" : "(nothing is granted by this)"}`,
      ...needs.map((need) => `  ${need}`),
      ...tools.map(({ name, rights }) =>
        `Tool:     ${name}, generated, may use ${rights.join(", ") || "nothing but its input"}`
      ),
      ...skills.map(({ name, description, allowedTools }) =>
        `Skill:    ${name}: ${description}` +
        (allowedTools === null
          ? ""
          : ` (says it uses ${allowedTools}: a claim, which opens nothing)`)
      ),
      `Model:    ${view.model ?? "-"}`,
      `Built in: ${view.libc?.join(", ") ?? "all tools"}`,
      `Limits:   ${view.maxSteps} steps${limitsText(budget)}`,
      ...files.map(({ path, bytes }) => `File:     ${path}  ${bytes} bytes`),
      `Signed:   ${view.signedBy.join(", ") || "by nobody"}`,
      "Instructions:",
      ...view.instructions.split("\n").map((line) => `  ${line}`),
    ],
  });
  return EXIT.ok;
}

function limitsText(budget: Readonly<Record<string, number>>): string {
  return Object.entries(budget).map(([kind, most]) => `, ${kind}=${most}`).join("");
}
