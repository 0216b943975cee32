// The completion script for zsh: for a folder of its fpath, as `_nix-tether`, or to be sourced.

import { commonOptions, type CommandWord, type OptionWord, type Value } from "../command-line.js";
import { completedTables, kindOf, namesIn } from "../values.js";

export function zshCompletion(commands: readonly CommandWord[]): string {
  return `\
#compdef nix-tether
# zsh completion for nix-tether, made by \`nix-tether completion zsh\`.

${completedTables
  .map(
    (table) => `__nix_tether_${table}() {
  local -aU names
  local expl
  names=(\${(f)"$(sed -nE ${quoted(namesIn(table))} "\${XDG_CONFIG_HOME:-$HOME/.config}/nix-tether/config.toml" 2>/dev/null)"})
  _wanted ${table} expl ${table.replace(/s$/, "")} compadd -a names
}
`,
  )
  .join("\n")}
__nix_tether_targets() {
  __nix_tether_static
  _files -/
}

__nix_tether_queued() {
  local -a paths
  local expl
  paths=("\${XDG_STATE_HOME:-$HOME/.local/state}"/nix-tether/spool/entries/*.json(N:t:r))
  paths=(/nix/store/\${^paths})
  _wanted paths expl 'path that waits' compadd -a paths
}

_nix-tether() {
  local curcontext=$curcontext state
  local -i ret=1
  local -a commands
  _arguments -C \\
    '(- : *)'{-h,--help}${quoted(`[${commonOptions.help}]`)} \\
    '(- : *)'{-V,--version}${quoted(`[${commonOptions.version}]`)} \\
    '1: :->command' '*:: :->word' && ret=0
  case $state in
    command)
      commands=(
${commands.map(({ name, describe }) => `        ${quoted(`${name}:${describe}`)}\n`).join("")}\
      )
      _describe -t commands command commands && ret=0
      ;;
    word)
      case $words[1] in
${commands.map(branch).join("")}\
      esac
      ;;
  esac
  return ret
}

if [[ $funcstack[1] == _nix-tether ]]; then
  _nix-tether "$@"
else
  compdef _nix-tether nix-tether
fi
`;
}

function branch(command: CommandWord): string {
  const specs = [
    ...command.options.map((option) => optionSpec(command, option)),
    quoted(`(- : *)--help[${commonOptions.help}]`),
    ...command.positionals.map((word, index) => {
      const place = word.many ? "*:" : `${index + 1}:${word.required ? "" : ":"}`;
      return quoted(`${place}${word.name}:${action(command, word)}`);
    }),
  ];
  return `        ${command.name})\n          _arguments ${specs.join(" \\\n            ")} && ret=0\n          ;;\n`;
}

function optionSpec(command: CommandWord, { name, describe, value }: OptionWord): string {
  const said = `[${describe.replace(/[[\]]/g, "\\$&")}]`;
  if (value === null) return quoted(`${name}${said}`);
  return quoted(`${name}=${said}:${value.name}:${action(command, value)}`);
}

function action(command: CommandWord, value: Value): string {
  if (value.choices.length > 0) return `(${value.choices.join(" ")})`;
  switch (kindOf(command, value)) {
    case "cache":
      return "__nix_tether_caches";
    case "farm":
      return "__nix_tether_farms";
    case "target":
      return "__nix_tether_targets";
    case "queued":
      return "__nix_tether_queued";
    case "file":
      return "_files";
    case "text":
    case null:
      return " ";
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
