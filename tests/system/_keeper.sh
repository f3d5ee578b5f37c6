#!/bin/sh
# Boots a container and keeps it until its own standard input ends, in whatever way its owner ends;
# then powers it off and removes its cgroups. Prints the process id of the container's PID 1, and again
# for each line that it reads: a reboot makes another one.
# Usage: _keeper.sh NAME ROOT_FOLDER [SYSTEMD_NSPAWN_OPTION…]
set -u
name=$1 root=$2
shift 2

# A place of its own in each hierarchy that there is: systemd inside takes what it finds.
groups=
[ -e /sys/fs/cgroup/cgroup.controllers ] && groups=/sys/fs/cgroup/$name
for hierarchy in unified systemd pids cpu cpuacct devices; do
  [ -e "/sys/fs/cgroup/$hierarchy/cgroup.procs" ] &&
    groups="$groups /sys/fs/cgroup/$hierarchy/$name"
done
# Below the one that this program is in: what bounds it bounds the container as well.
memory=/sys/fs/cgroup/memory$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup)
[ -e "$memory/memory.limit_in_bytes" ] && groups="$groups $memory/$name"
[ -n "$groups" ] || { echo "there are no cgroups" >&2; exit 1; }

# Fails where something is left.
clean_up() {
  left=0
  for group in $groups; do
    [ ! -e "$group" ] || find "$group" -depth -type d -exec rmdir {} + || left=1
  done
  return "$left"
}

# Two hierarchies may be the same one.
mkdir -p $groups || { clean_up; exit 1; }

nspawn() {
  for group in $groups; do echo 0 >"$group/cgroup.procs" || exit 1; done
  # Nothing is written to the root folder: others may boot it at the same time. What is written stays
  # until this ends, so it outlives a reboot, for which nspawn asks to be started anew by code 133.
  export SYSTEMD_NSPAWN_LOCK=0 root
  exec unshare --mount sh -c 'mount -t tmpfs -o mode=0755 tmpfs /mnt || exit
    mkdir -m 0755 /mnt/upper /mnt/work /mnt/root || exit
    layers="lowerdir=$root,upperdir=/mnt/upper,workdir=/mnt/work"
    mount -t overlay -o "$layers" overlay /mnt/root || exit
    trap "isOver=true; kill -TERM \$nspawn" TERM
    until [ "${isOver-}" ]; do
      systemd-nspawn -q -D /mnt/root -b --register=no --keep-unit --console=pipe \
        --resolv-conf=bind-host --hostname=sd "$@" &
      nspawn=$!
      # It may have come meanwhile, and met the one before.
      [ -z "${isOver-}" ] || kill -TERM "$nspawn"
      while wait "$nspawn"; code=$?; kill -0 "$nspawn" 2>/dev/null; do :; done
      [ "$code" = 133 ] || exit "$code"
    done' sh "$@"
}

# The child that has process ids of its own is PID 1; another one that is there before makes it.
leader() {
  for child in $(pgrep -P "$(pgrep -P "$keeping" -x systemd-nspawn)"); do
    ids=$(readlink "/proc/$child/ns/pid") &&
      [ "$ids" != "$(readlink /proc/self/ns/pid)" ] && echo "$child" && return
  done
  return 1
}

nspawn "$@" </dev/null >/dev/null &
keeping=$!
until leader 2>/dev/null; do
  kill -0 "$keeping" 2>/dev/null || { wait "$keeping"; clean_up; exit 1; }
  sleep 0.05
done

while read -r _; do leader 2>/dev/null || echo; done
# SIGTERM is a clean power-off; after SIGKILL the container would live on.
kill -TERM "$keeping"
# A PID 1 that has only begun to boot does not hear it: nspawn kills the container when asked again.
looks=0
while kill -0 "$keeping" 2>/dev/null; do
  looks=$((looks + 1))
  [ "$looks" != 1800 ] || kill -TERM "$keeping"
  sleep 0.1
done
wait "$keeping"
clean_up
