/** A word that may come next. */
export interface Word {
  /** The word itself. */
  readonly name: string;
  /** What it means, in a line; may be empty. */
  readonly description: string;
}

/** A place of the command line, and what may follow there. */
export interface Place {
  /** The commands before it, each with a space before it; "" behind the program's name. */
  readonly path: string;
  /** Subcommands, or the choices of the command's first argument. */
  readonly words: readonly Word[];
  /** Options by their names, dashes included. */
  readonly options: readonly { readonly names: readonly string[]; readonly description: string }[];
}

// In all three scripts `at` becomes the last known place before the cursor: the words that lead to
// it are taken, values of options and the like are skipped.

/** Completes `program` in bash. */
export function bashScript(program: string, places: readonly Place[]): string {
  const name = functionName(program);
  const cases = places.map(({ path, words, options }) =>
    `    ${quote(path)}) words=${quote(words.map((word) => word.name).join(" "))}` +
    ` options=${quote(options.flatMap((option) => option.names).join(" "))} ;;\n`
  ).join("");
  return `# ${program}: completion for bash
${name}() {
  local at= word words= options= current=\${COMP_WORDS[COMP_CWORD]}
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$at $word" in
      ${known(places).map(quote).join("|")}) at="$at $word" ;;
    esac
  done
  case "$at" in
${cases}  esac
  [[ $current == -* || -z $words ]] && words=$options
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F ${name} ${program}
`;
}

/** Completes `program` in zsh; to be sourced, or in a file of the function path. */
export function zshScript(program: string, places: readonly Place[]): string {
  const name = functionName(program);
  const described = (word: string, description: string) =>
    quote(`${word.replaceAll(":", "\\:")}${description && `:${description}`}`);
  const cases = places.map(({ path, words, options }) =>
    `    ${quote(path)})
      words_here=(${words.map((word) => described(word.name, word.description)).join(" ")})
      options=(${
      options.flatMap(({ names, description }) => names.map((name) => described(name, description)))
        .join(" ")
    }) ;;\n`
  ).join("");
  return `#compdef ${program}
# ${program}: completion for zsh
${name}() {
  local at= word
  local -a words_here options
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "$at $word" in
      ${known(places).map(quote).join("|")}) at="$at $word" ;;
    esac
  done
  case "$at" in
${cases}  esac
  if [[ $words[CURRENT] == -* || $#words_here -eq 0 ]]; then
    _describe -o option options
  else
    _describe argument words_here
  fi
}
if [[ $funcstack[1] == ${name} ]]; then ${name} "$@"; else compdef ${name} ${program}; fi
`;
}

/** Completes `program` in fish. */
export function fishScript(program: string, places: readonly Place[]): string {
  const name = `_${functionName(program)}_at`;
  const complete = (path: string, rest: string, description: string) =>
    `complete -c ${program} -n ${quote(`${name} ${quote(path)}`)} ${rest}` +
    `${description && ` -d ${quote(description)}`}\n`;
  const lines = places.flatMap(({ path, words, options }) => [
    ...words.map((word) => complete(path, `-a ${quote(word.name)}`, word.description)),
    ...options.map(({ names, description }) => {
      const flags = names.map((name) =>
        name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`
      );
      return complete(path, flags.join(" "), description);
    }),
  ]);
  return `# ${program}: completion for fish
function ${name}
  set -l at ''
  for word in (commandline -opc)[2..-1]
    contains -- "$at $word" ${known(places).map(quote).join(" ")}; and set at "$at $word"
  end
  test "$at" = "$argv[1]"
end
complete -c ${program} -f
${lines.join("")}`;
}

/** Every path that leads somewhere, choices of arguments included: nothing more follows those. */
function known(places: readonly Place[]): string[] {
  return [
    ...new Set(
      places.flatMap(({ path, words }) => [path, ...words.map((word) => `${path} ${word.name}`)])
        .filter((path) => path !== ""),
    ),
  ];
}

function functionName(program: string): string {
  return `_${program.replaceAll("-", "_")}`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
