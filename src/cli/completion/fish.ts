// The completion script for fish.

import { commonOptions, type CommandWord, type Value } from "../command-line.js";
import { completedTables, kindOf, namesIn } from "../values.js";

export function fishCompletion(commands: readonly CommandWord[]): string {
  const valued = new Set(
    commands.flatMap(({ options }) => options.filter(({ value }) => value !== null).map(({ name }) => name)),
  );
  return `\
# fish completion for nix-tether, made by \`nix-tether completion fish\`.

${completedTables
  .map(
    (table) => `function __nix_tether_${table}
    set -l config ~/.config
    set -q XDG_CONFIG_HOME; and set config $XDG_CONFIG_HOME
    sed -nE ${quoted(namesIn(table))} $config/nix-tether/config.toml 2>/dev/null
end
`,
  )
  .join("\n")}
function __nix_tether_queued
    set -l state ~/.local/state
    set -q XDG_STATE_HOME; and set state $XDG_STATE_HOME
    set -l files $state/nix-tether/spool/entries/*.json
    string replace --regex '.*/(.*)\\.json$' '/nix/store/$1' $files
end

# Whether the command is $argv[1], with at least $argv[2] and at most $argv[3] words behind it, where these are given.
# Without arguments: whether there is no command yet.
function __nix_tether_at
    set -l words
    set -l skip 0
    for token in (commandline -opc)[2..]
        if test $skip = 1
            set skip 0
            continue
        end
        switch $token
            case ${[...valued].join(" ")}
                set skip 1
            case '-*'
            case '*'
                set -a words $token
        end
    end
    test "$words[1]" = "$argv[1]"; or return
    set -l count (count $words[2..])
    not set -q argv[2]; or test $count -ge $argv[2]; or return
    not set -q argv[3]; or test $count -le $argv[3]
end

complete -c nix-tether -f
complete -c nix-tether -n __nix_tether_at -s h -l help -d ${quoted(commonOptions.help)}
complete -c nix-tether -n __nix_tether_at -s V -l version -d ${quoted(commonOptions.version)}
${commands.map(({ name, describe }) => `complete -c nix-tether -n __nix_tether_at -a ${name} -d ${quoted(describe)}\n`).join("")}\
${commands.map((command) => `\n${linesFor(command).join("\n")}\n`).join("")}`;
}

function linesFor(command: CommandWord): string[] {
  const where = (more: string): string =>
    `complete -c nix-tether -n '__nix_tether_at ${command.name}${more}'`;
  return [
    ...command.options.map(({ name, describe, value }) => {
      const takes = value === null ? "" : ` -r ${answer(command, value)}`;
      return `${where("")} -l ${name.replace(/^--/, "")}${takes} -d ${quoted(describe)}`;
    }),
    `${where("")} -s h -l help -d ${quoted(commonOptions.help)}`,
    ...command.positionals.map(
      (word, index) => `${where(` ${index}${word.many ? "" : ` ${index}`}`)} ${answer(command, word)}`,
    ),
  ];
}

function answer(command: CommandWord, value: Value): string {
  if (value.choices.length > 0) return `-a ${quoted(value.choices.join(" "))}`;
  switch (kindOf(command, value)) {
    case "cache":
      return "-a '(__nix_tether_caches)' -d cache";
    case "farm":
      return "-a '(__nix_tether_farms)' -d farm";
    case "target":
      return "-F -a '(__nix_tether_static)' -d 'static cache'";
    case "queued":
      return "-a '(__nix_tether_queued)' -d 'waits for its upload'";
    case "file":
      return "-F";
    case "text":
    case null:
      return "-f";
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
