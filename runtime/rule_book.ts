/**
 * The rule book: the file that a runtime's policy comes from, and goes on in.
 *
 * Invariants:
 *   B1. Only rules that people gave for good are added: one that ends would begin anew with every
 *       tree that is started.
 *   B2. The file stays one that can be read; what it has already, or what a deny of it stands
 *       against, is not added.
 * @module
 */

import { RIGHTS } from "../broker/table.ts";
import { SysError } from "../kernel/errors.ts";
import type { EventMap } from "../kernel/event.ts";
import { parsePolicy, type PolicyRule } from "../kernel/policy.ts";
import { addToPolicyFile, readPolicyFile } from "../providers/policy_file.ts";
import type { Node } from "./node.ts";
import type { RuntimeOptions } from "./runtime_options.ts";

/** A policy's file, as a runtime follows it. */
export class RuleBook {
  /** What the file said when the runtime was made. */
  readonly text: string;
  readonly #path: string;
  #busy: Promise<unknown> = Promise.resolve();

  /** Use {@linkcode openRuleBook}. */
  constructor(path: string, text: string) {
    this.#path = path;
    this.text = text;
  }

  /** Adds the rules that answers put into the policies of trees from now on. */
  follow(node: Node): void {
    node.listen((_, lines) => {
      for (const { type, data } of lines) {
        if (type !== "policy.amended") continue;
        const { rule } = data as EventMap["policy.amended"];
        // The tree has its rule in any case: where the file cannot be written, it stays as it is.
        this.#busy = this.#busy.then(() => addRule(this.#path, rule)).catch(() => {});
      }
    });
  }

  /** Resolves when what was heard of is in the file. */
  async settled(): Promise<void> {
    await this.#busy;
  }
}

/** Adds a rule to a policy's file; why it was not added, or null (B1, B2). */
export async function addRule(path: string, rule: string): Promise<string | null> {
  const context = { rights: RIGHTS };
  const text = await readPolicyFile(path);
  const [wanted] = parsePolicy(rule, context).rules as [PolicyRule];
  if (wanted.expiresMs !== null) return "it ends, and would begin anew with every tree";
  const { right, resource } = wanted.pattern;
  const isThere = parsePolicy(text, context).rules.some(({ pattern, unasked }) =>
    unasked === true && pattern.right === right && pattern.resource === resource
  );
  if (isThere) return "it is there";
  try {
    parsePolicy(`${text}\n${rule}`, context);
  } catch (error) {
    if (error instanceof SysError) return error.message;
    throw error;
  }
  await addToPolicyFile(path, text, rule);
  return null;
}

/** Opens the file that a runtime's policy is in. Throws `ENOENT`, and `EINVAL` beside a policy. */
export async function openRuleBook(options: RuntimeOptions): Promise<RuleBook> {
  if (options.policy !== undefined) {
    const sentence = "Cannot make a runtime: a policy and a policyFile, expected one of them";
    throw new SysError("EINVAL", sentence);
  }
  const path = options.policyFile!;
  return new RuleBook(path, await readPolicyFile(path));
}
