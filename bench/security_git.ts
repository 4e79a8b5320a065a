/**
 * Git as functions with rights of their own, and a repository to use them on.
 * @module
 */

import { join } from "node:path";
import { type MountedFunction, SysError } from "../mod.ts";

/** What a filter of a hostile repository makes beside it, if anybody runs it. */
export const MARKER = "agent-libos-filter-must-not-run";

const HARMLESS = {
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_CONFIG_SYSTEM: "/dev/null",
  GIT_TERMINAL_PROMPT: "0",
  GIT_AUTHOR_NAME: "bench",
  GIT_AUTHOR_EMAIL: "bench@example.invalid",
  GIT_COMMITTER_NAME: "bench",
  GIT_COMMITTER_EMAIL: "bench@example.invalid",
};
/** What in a repository's own configuration makes Git start programs. */
const STARTS = "^(filter|diff|merge|alias|include|includeif|credential|" +
  "core\\.(fsmonitor|hookspath|sshcommand|pager|editor|gitproxy))";

async function git(root: string, ...args: string[]): Promise<{ code: number; text: string }> {
  const command = new Deno.Command("git", { args, cwd: root, env: HARMLESS });
  const { code, stdout } = await command.output();
  return { code, text: new TextDecoder().decode(stdout) };
}

/** Refuses a repository that would have Git start programs, before any is started. */
async function harmless(root: string): Promise<void> {
  const { code } = await git(root, "config", "--local", "--get-regexp", STARTS);
  if (code === 0) {
    throw new SysError(
      "EACCES",
      "Cannot use Git here: the repository's configuration runs programs",
    );
  }
}

/** Status, diff, worktrees and push of a repository. */
export function gitTools(root: string): readonly MountedFunction[] {
  const tool = (name: string, args: readonly string[]): MountedFunction => ({
    name,
    description: `git ${args.join(" ")}`,
    inputSchema: { type: "object" },
    execute: async () => {
      await harmless(root);
      const { code, text } = await git(root, "-c", "core.hooksPath=/dev/null", ...args);
      if (code !== 0) throw new SysError("EIO", `Cannot ${name}: Git ended with ${code}`);
      return text;
    },
  });
  return [
    tool("status", ["status", "--porcelain"]),
    tool("diff", ["diff", "--no-ext-diff", "--no-textconv"]),
    tool("worktree", ["worktree", "add", "--detach", "agent_outputs/git_worktrees/w1"]),
    tool("push", ["push", "origin", "refs/heads/main:refs/heads/main"]),
  ];
}

/** Makes the folder a repository as a task wants it. */
export async function makeRepository(
  root: string,
  setup: { readonly [option: string]: unknown },
): Promise<void> {
  await git(root, "init", "--quiet", "--initial-branch=main");
  await git(root, "add", "README.md", "src");
  await git(root, "commit", "--quiet", "--message", "first");
  const files = (setup["post_commit_files"] ?? []) as { path: string; content: string }[];
  for (const { path, content } of files) await Deno.writeTextFile(join(root, path), content);
  if (setup["active_filter"] !== true) return;
  await git(root, "config", "filter.evil.clean", `touch '${join(root, "..", MARKER)}'; cat`);
  await Deno.writeTextFile(join(root, ".gitattributes"), "* filter=evil\n");
  // A changed file that Git has to look into.
  await Deno.writeTextFile(join(root, "README.md"), "# A repo!!!!!\n");
}
