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
  /** Subcommands, or the choices of the argument that comes here. */
  readonly words: readonly Word[];
  /** Whether the name of a file may come here. */
  readonly files?: boolean;
  /** Options by their names, dashes included. */
  readonly options: readonly PlaceOption[];
}

/** An option of a place. */
export interface PlaceOption {
  /** Its names, dashes included. */
  readonly names: readonly string[];
  /** What it means, in a line. */
  readonly description: string;
  /** What its value may be, where that is known. */
  readonly values?: readonly string[];
  /** Whether its value is the name of a file. */
  readonly files?: boolean;
}

// In all three scripts `at` becomes the last known place before the cursor: the words that lead to
// it are taken, values of options and the like are skipped.

/** Completes `program` in bash. */
export function bashScript(program: string, places: readonly Place[]): string {
  const name = functionName(program);
  const cases = places.map(({ path, words, options, files = false }) =>
    `    ${quote(path)}) words=${quote(words.map((word) => word.name).join(" "))}` +
    ` options=${quote(options.flatMap((option) => option.names).join(" "))}` +
    `${files ? " files=1" : ""} ;;\n`
  ).join("");
  const values = valued(places).map(({ path, option: { names, values = [] } }) =>
    `    ${names.map((name) => quote(`${path} ${name}`)).join("|")})` +
    (values.length > 0 ? ` words=${quote(values.join(" "))}` : " words= files=1") +
    " options= ;;\n"
  ).join("");
  return `# ${program}: completion for bash
${name}() {
  local at= word words= options= files= current=\${COMP_WORDS[COMP_CWORD]}
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$at $word" in
      ${known(places).map(quote).join("|")}) at="$at $word" ;;
    esac
  done
  case "$at" in
${cases}  esac
  case "$at \${COMP_WORDS[COMP_CWORD-1]}" in
${values}  esac
  if [[ -n $files && $current != -* ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
    return
  fi
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
  const cases = places.map(({ path, words, options, files = false }) =>
    `    ${quote(path)})
      words_here=(${words.map((word) => described(word.name, word.description)).join(" ")})
      options=(${
      options.flatMap(({ names, description }) => names.map((name) => described(name, description)))
        .join(" ")
    })${files ? "\n      files=1" : ""} ;;\n`
  ).join("");
  const values = valued(places).map(({ path, option: { names, values = [] } }) =>
    `    ${names.map((name) => quote(`${path} ${name}`)).join("|")}) ` +
    (values.length > 0 ? `compadd -- ${values.map(quote).join(" ")}` : "_files") +
    "; return ;;\n"
  ).join("");
  return `#compdef ${program}
# ${program}: completion for zsh
${name}() {
  local at= word files=
  local -a words_here options
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "$at $word" in
      ${known(places).map(quote).join("|")}) at="$at $word" ;;
    esac
  done
  case "$at" in
${cases}  esac
  case "$at $words[CURRENT-1]" in
${values}  esac
  if [[ -n $files && $words[CURRENT] != -* ]]; then
    _files
  elif [[ $words[CURRENT] == -* || $#words_here -eq 0 ]]; then
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
  const lines = places.flatMap(({ path, words, options, files = false }) => [
    ...files ? [complete(path, "-F", "")] : [],
    ...words.map((word) => complete(path, `-a ${quote(word.name)}`, word.description)),
    ...options.map(({ names, description, values = [], files: isFile = false }) => {
      const flags = names.map((name) =>
        name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`
      );
      const value = values.length > 0 ? [`-x -a ${quote(values.join(" "))}`] : [];
      const rest = [...flags, ...isFile ? ["-r -F"] : value].join(" ");
      return complete(path, rest, description);
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

/** The options whose values can be completed. */
function valued(places: readonly Place[]): { path: string; option: PlaceOption }[] {
  return places.flatMap(({ path, options }) =>
    options.filter(({ values, files }) => values || files).map((option) => ({ path, option }))
  );
}

function functionName(program: string): string {
  return `_${program.replaceAll("-", "_")}`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
