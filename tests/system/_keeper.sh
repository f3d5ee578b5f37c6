#!/bin/sh
# Boots a container and keeps it until its own standard input ends, in whatever way its owner ends;
# then powers it off and removes its cgroups. Prints the process id of the container's PID 1.
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
[ -n "$groups" ] || { echo "there are no cgroups" >&2; exit 1; }
mkdir $groups || exit 1

clean_up() {
  for group in $groups; do find "$group" -depth -type d -exec rmdir {} +; done
}

nspawn() {
  for group in $groups; do echo 0 >"$group/cgroup.procs" || exit 1; done
  # Nothing is written to the root folder: others may boot it at the same time.
  export SYSTEMD_NSPAWN_LOCK=0
  exec systemd-nspawn -q -D "$root" -b --register=no --keep-unit --console=pipe \
    --volatile=overlay --resolv-conf=bind-host --hostname=sd "$@"
}

# The child that has process ids of its own is PID 1; another one that is there before makes it.
leader() {
  for child in $(ps -o pid= --ppid "$nspawn"); do
    ids=$(readlink "/proc/$child/ns/pid") &&
      [ "$ids" != "$(readlink /proc/self/ns/pid)" ] && echo "$child" && return
  done
  return 1
}

nspawn "$@" </dev/null >/dev/null &
nspawn=$!
until leader; do
  kill -0 "$nspawn" 2>/dev/null || { wait "$nspawn"; clean_up; exit 1; }
  sleep 0.05
done

cat >/dev/null
# SIGTERM is a clean power-off; after SIGKILL the container would live on.
kill -TERM "$nspawn"
wait "$nspawn"
clean_up
