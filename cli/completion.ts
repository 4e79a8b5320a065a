/**
 * `completion`: what a shell needs to complete commands, their options, and ids.
 * @module
 */

import { type Command, FORMATS, GLOBAL_OPTIONS } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";

const SHELLS = ["bash", "zsh", "fish"] as const;

/** What a word after each command is, where ids are cheap to come by. */
const WORDS: { readonly [command: string]: string } = {
  describe: "ps -a -o name",
  logs: "ps -a -o name",
  wait: "ps -o name",
  attach: "ps -o name",
  send: "ps -o name",
  pause: "ps -o name",
  resume: "ps -o name",
  cancel: "ps -o name",
  kill: "ps -o name",
  budget: "ps -a -o name",
  can: "ps -o name",
  fork: "ps -a -o name",
  rollback: "ps -a -o name",
  approve: "approvals -o name",
  deny: "approvals -o name",
  edit: "approvals -o name",
  answer: "approvals -o name",
};

/** `completion`, over the commands that there are. */
export function completionOf(all: () => readonly Command[]): Command {
  return {
    name: "completion",
    group: "start",
    usage: SHELLS.join("|"),
    about: "Print what completes commands, options and ids in a shell",
    examples: [
      "libos completion bash > ~/.local/share/bash-completion/completions/libos",
      "libos completion fish > ~/.config/fish/completions/libos.fish",
    ],
    options: {},
    words: [1, 1],
    remote: "none",
    run(at) {
      const [shell = ""] = at.words;
      const texts: { readonly [shell: string]: () => string } = {
        bash: () => bashOf(all()),
        zsh: () => `autoload -U +X bashcompinit && bashcompinit\n${bashOf(all())}`,
        fish: () => fishOf(all()),
      };
      const text = Object.hasOwn(texts, shell) ? texts[shell] : undefined;
      if (text === undefined) {
        throw new UsageError(
          `Cannot complete in "${shell}": unknown, expected ${SHELLS.join(", ")}`,
        );
      }
      at.io.out(text());
      return Promise.resolve(EXIT.ok);
    },
  };
}

/** All that a command takes, with its dashes. */
function optionsOf(command: Command): string[] {
  return Object.keys({ ...GLOBAL_OPTIONS, ...command.options }).map((name) => `--${name}`);
}

/** Words that a command's usage names as they are: `ls | show ID`. */
function verbsOf({ usage }: Command): string[] {
  const parts = usage.replace(/^\[|\]$/g, "").split(" | ");
  if (parts.length < 2) return [];
  return parts.flatMap((part) => /^([a-z]+)(?= |$)/.exec(part)?.[1] ?? []);
}

function bashOf(all: readonly Command[]): string {
  const cases = all.map((command) => {
    const words = [...optionsOf(command), ...verbsOf(command)].join(" ");
    const ids = WORDS[command.name];
    const found = ids === undefined ? "" : ` $(libos ${ids} 2>/dev/null)`;
    return `    ${command.name}) words="${words}${found}" ;;`;
  });
  return `# libos: completion for bash, printed by libos completion bash
_libos() {
  local word="\${COMP_WORDS[COMP_CWORD]}" words=""
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="${all.map(({ name }) => name).join(" ")}"
  elif [ "\${COMP_WORDS[COMP_CWORD-1]}" = "-o" ]; then
    words="${FORMATS.join(" ")}"
  else case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
  esac; fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _libos libos
`;
}

function fishOf(all: readonly Command[]): string {
  const lines = all.flatMap((command) => {
    const { name, about, options } = command;
    const seen = `-n "__fish_seen_subcommand_from ${name}"`;
    const ids = WORDS[name];
    return [
      `complete -c libos -f -n __fish_use_subcommand -a ${name} -d '${about.replaceAll("'", "")}'`,
      ...Object.entries({ ...GLOBAL_OPTIONS, ...options }).map(([option, { type }]) =>
        `complete -c libos ${seen} -l ${option}${type === "string" ? " -r" : ""}`
      ),
      ...verbsOf(command).map((verb) => `complete -c libos ${seen} -a ${verb}`),
      ...(ids === undefined ? [] : [`complete -c libos ${seen} -a '(libos ${ids} 2>/dev/null)'`]),
    ];
  });
  return `# libos: completion for fish, printed by libos completion fish\n${lines.join("\n")}\n`;
}
