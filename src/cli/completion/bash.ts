// The completion script for bash. Needs nothing of the bash-completion package.

import { commonOptions, type CommandWord, type Value } from "../command-line.js";
import { completedTables, kindOf, namesIn } from "../values.js";

export function bashCompletion(commands: readonly CommandWord[]): string {
  const names = commands.map(({ name }) => name);
  const valued = commands.flatMap((command) =>
    command.options.flatMap(({ name, value }) => (value === null ? [] : [{ command, option: name, value }])),
  );
  return `\
# bash completion for nix-tether, made by \`nix-tether completion bash\`.

${completedTables
  .map(
    (table) => `__nix_tether_${table}() {
  sed -nE ${quoted(namesIn(table))} "\${XDG_CONFIG_HOME:-$HOME/.config}/nix-tether/config.toml" 2>/dev/null
}
`,
  )
  .join("\n")}
__nix_tether_queued() {
  local file
  for file in "\${XDG_STATE_HOME:-$HOME/.local/state}"/nix-tether/spool/entries/*.json; do
    file=\${file##*/}
    [[ $file == '*.json' ]] || echo "/nix/store/\${file%.json}"
  done
}

_nix_tether() {
  local current=\${COMP_WORDS[COMP_CWORD]} command= option= offered= word
  local -i at=0 count=0
  COMPREPLY=()
  # Which command it is, how many words stand behind it, and the option whose value comes next. Bash takes --a=b apart.
  for ((at = 1; at < COMP_CWORD; at++)); do
    word=\${COMP_WORDS[at]}
    if [[ -n $option ]]; then
      [[ $word == = ]] || option=
      continue
    fi
    case "$command $word" in
${cases(valued.map(({ command, option }) => [quoted(`${command.name} ${option}`), "option=$word"]))}\
      *' -'*) ;;
      ' '*) command=$word ;;
      *) count+=1 ;;
    esac
  done
  [[ -z $option || $current != = ]] || current=

  if [[ -n $option ]]; then
    case "$command $option" in
${cases(valued.map(({ command, option, value }) => [quoted(`${command.name} ${option}`), offer(command, value)]))}\
    esac
  elif [[ $current == -* ]]; then
    case $command in
      '') offered='${Object.keys(commonOptions).map(dashed).join(" ")}' ;;
${cases(commands.map((one) => [one.name, `offered=${quoted(optionsOf(one).join(" "))}`]))}\
    esac
  else
    case "$command $count" in
      ' 0') offered='${names.join(" ")}' ;;
${cases(
  commands.flatMap((one) =>
    one.positionals.map((word, index): [string, string] => [
      word.many ? `${quoted(`${one.name} `)}*` : quoted(`${one.name} ${index}`),
      offer(one, word),
    ]),
  ),
)}\
    esac
  fi
  [[ -z $offered ]] || COMPREPLY=($(compgen -W "$offered" -- "$current"))
}

complete -F _nix_tether nix-tether
`;
}

function cases(branches: readonly (readonly [pattern: string, action: string])[]): string {
  return branches.map(([pattern, action]) => `      ${pattern}) ${action} ;;\n`).join("");
}

function offer(command: CommandWord, value: Value): string {
  if (value.choices.length > 0) return `offered=${quoted(value.choices.join(" "))}`;
  switch (kindOf(command, value)) {
    case "cache":
      return "offered=$(__nix_tether_caches)";
    case "farm":
      return "offered=$(__nix_tether_farms)";
    case "target":
      return "offered=$(__nix_tether_static); compopt -o default";
    case "queued":
      return "offered=$(__nix_tether_queued)";
    case "file":
      // Left to readline, which knows how to quote what it finds.
      return "compopt -o default";
    case "text":
    case null:
      return ":";
  }
}

function optionsOf(command: CommandWord): string[] {
  return [...command.options.map(({ name }) => name), "--help"];
}

function dashed(name: string): string {
  return `--${name}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
