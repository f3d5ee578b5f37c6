#!/bin/sh
sum=@SHA256 of all that follows this line, in hexadecimal digits ..@
# The Noderax agent @VERSION@ in one file: this script, and after it what it unpacks and starts.
# `sh FILE COMMAND …` does the same. Unpacked it lies in a folder that is the caller's alone:
# /var/cache/noderax-agent for root, else $XDG_CACHE_HOME/noderax-agent or ~/.cache/noderax-agent,
# unless NODERAX_UNPACK_FOLDER names another.
size=@SIZE____@
start=@START__@
machine=@MACHINE@

fail() {
  printf 'noderax-agent: %s\n' "$1" >&2
  exit 1
}

# In a function: a file that was cut off in here does nothing.
main() {
  file=$(readlink -f -- "$0") || fail "$0 is not found."
  facts=$(stat -c '%s %d:%i:%y:%z' -- "$file") || exit 1
  [ "${facts%% *}" = "$size" ] ||
    fail "$file has ${facts%% *} bytes instead of $size: it was not fetched completely. Fetch it again."
  choose_folder
  # What the program says of itself is to name what stays.
  NODERAX_RUN_FILE=$file
  export NODERAX_RUN_FILE
  if [ "${1-}" = install ] && [ "$uid" = 0 ]; then start_once "$@"; fi
  start_kept "$@"
}

# What was unpacked once is started again, as long as this file is the one that was checked then.
start_kept() {
  tree=$folder/unpacked-$sum
  checked=
  if [ -d "$folder" ]; then
    enter_folder
    [ ! -f "$tree/checked" ] || read -r checked <"$tree/checked"
  fi
  if [ "$checked" != "$facts" ]; then
    check
    [ -x "$tree/noderax-agent" ] || unpack_kept
  fi
  # Its time says when the tree was used last.
  printf '%s\n' "$facts" 2>/dev/null >"$tree/checked"
  exec "$tree/noderax-agent" "$@"
}

# It is installed from a tree that is gone when it has ended, in whatever way: then the pipe closes.
# That lies beside the folder, which may never be needed on this machine.
start_once() {
  check
  parent=${folder%/*}
  make_folder "${parent:-/}"
  unpack "$once"
  remove_unused "$once".??????
  tree=$new
  mkfifo -m 600 "$tree/lives" || exit 1
  (
    trap '' HUP INT QUIT TERM
    cat <"$tree/lives"
    rm -rf -- "$tree"
  ) </dev/null >/dev/null 2>&1 &
  exec 9>"$tree/lives"
  trap - EXIT HUP INT TERM
  exec "$tree/noderax-agent" "$@"
}

choose_folder() {
  uid=$(stat -L -c %u /proc/self) || exit 1
  folder=
  if [ -n "${NODERAX_UNPACK_FOLDER-}" ]; then
    folder=$NODERAX_UNPACK_FOLDER
  elif [ "$uid" = 0 ]; then
    folder=/var/cache/noderax-agent
  elif [ -n "${XDG_CACHE_HOME-}" ]; then
    folder=$XDG_CACHE_HOME/noderax-agent
  elif [ -n "${HOME-}" ]; then
    folder=$HOME/.cache/noderax-agent
  fi
  case $folder in
    /*) ;;
    *) fail "There is no folder to unpack the program into: $remedy" ;;
  esac
  once=$folder-unpacked
}
remedy='set NODERAX_UNPACK_FOLDER to a folder of your own that programs can be run from.'

# Whatever another user could have prepared in there is not started.
enter_folder() {
  real=$(CDPATH='' cd -P -- "$folder" 2>/dev/null && pwd -P) ||
    fail "$folder cannot be used: $remedy"
  folder=$real
  tree=$folder/unpacked-$sum
  refuse_unsafe "$folder"
}

refuse_unsafe() {
  unsafe=$(first_unsafe "$1") || exit 1
  [ -z "$unsafe" ] || fail "$unsafe, so the program is not unpacked there: $remedy"
}

# Of a folder and those that it lies in the first that others could exchange.
first_unsafe() {
  leaf=$1
  while [ -n "${1%/*}" ]; do set -- "${1%/*}" "$@"; done
  stat -c '%u %a %n' -- / "$@" | while read -r owner mode path; do
    case $owner in
      "$uid") ;;
      0) [ "$path" != "$leaf" ] || { echo "$path belongs to root" && break; } ;;
      *) echo "$path belongs to user $owner" && break ;;
    esac
    case $mode in
      *[2367]? | *[2367]) ;;
      *) continue ;;
    esac
    # In a sticky folder nobody moves what belongs to others.
    case $mode in
      [1357]???) [ "$path" = "$leaf" ] || continue ;;
    esac
    echo "$path can be written to by others" && break
  done
}

check() {
  for tool in gzip mkfifo mktemp sha256sum tail tar; do
    command -v "$tool" >/dev/null || fail "This needs $tool, which this machine does not have: install it."
  done
  first=$((10 + ${#sum} + 6))
  found=$(tail -c "+$first" -- "$file" | sha256sum) || exit 1
  [ "${found%% *}" = "$sum" ] ||
    fail "$file is damaged or was altered (SHA-256 ${found%% *} instead of $sum). Fetch it again."
  [ "$(uname -m)" = "$machine" ] ||
    fail "$file is for machines of kind $machine, and this is $(uname -m): fetch the file for this kind."
}

make_folder() {
  [ -d "$1" ] || (umask 077 && mkdir -p -- "$1") || fail "$1 cannot be made: $remedy"
}

# Into a new folder of that prefix, which is removed unless all of this succeeds.
unpack() {
  trap 'rm -rf -- "$new"' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  new=$(mktemp -d "$1.XXXXXX") || fail "${1%/*} cannot be written to: $remedy"
  new=$(CDPATH='' cd -P -- "$new" && pwd -P) || exit 1
  refuse_unsafe "$new"
  tail -c "+$start" -- "$file" | gzip -dc | tar -xf - -C "$new" --strip-components=1 ||
    fail "${1%/*} cannot take the program, which needs 100 MB: make room, or $remedy"
  "$new/lib/deno" --version </dev/null >/dev/null 2>&1 || does_not_run $? "${1%/*}"
}

does_not_run() {
  [ "$1" != 126 ] || fail "No program can be run from $2 (is it mounted noexec?): $remedy"
  fail "The program does not run on this machine (exit code $1): it needs glibc 2.27 or newer."
}

unpack_kept() {
  make_folder "$folder"
  enter_folder
  unpack "$folder/unpacked-new"
  # After a power cut nothing in there may be empty.
  find "$new" -type f -exec sync {} + 2>/dev/null || sync
  # Another call may have been quicker.
  mv -T -- "$new" "$tree" 2>/dev/null || [ -x "$tree/noderax-agent" ] ||
    fail "$tree cannot be made from $new."
  trap - EXIT HUP INT TERM
  rm -rf -- "$new"
  remove_unused "$once".?????? "$folder"/unpacked-*
}

# Trees of other versions, and what was left by a call that was killed: unused for a day.
remove_unused() {
  command -v find >/dev/null || return
  for old; do
    [ -d "$old" ] && [ "$old" != "$tree" ] || continue
    [ -z "$(find "$old" -maxdepth 1 -mtime -1 2>/dev/null)" ] || continue
    ls -l /proc/[0-9]*/exe 2>/dev/null | grep -qF -- "-> $old/" || rm -rf -- "$old"
  done
}

main "$@"
exit
