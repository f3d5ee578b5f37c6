# What the scripts of both kinds of package share. None of them asks anything, starts an agent that
# is not enrolled, or waits for the service, which may wait for the task that runs this script.
program_folder=/opt/noderax-agent
program=$program_folder/noderax-agent
link=/usr/local/bin/noderax-agent
config=/etc/noderax-agent/config.json
state_folder=/var/lib/noderax-agent
service=noderax-agent.service
unit=/usr/lib/systemd/system/$service
# Made by `noderax-agent install`; it would hide the package's unit.
installed_unit=/etc/systemd/system/$service
# A file here goes before what locks the package's unit down.
mask=$installed_unit.d/locked-down.conf
# What has the service start with the machine.
enabled=/etc/systemd/system/multi-user.target.wants/$service
# How the service was when the package was removed, for when it is back.
before_removal=$state_folder/before-removal

complain() { echo "noderax-agent: $*" >&2; }

systemd_runs() { [ -d /run/systemd/system ]; }

# Whether this is a part of the service, as in a task or a terminal that is the agent's child.
inside_service() { grep -q '/noderax-agent\.service' /proc/self/cgroup 2>/dev/null; }

# Whether this is in a unit of a task's or a terminal's, which a stop of the service ends.
inside_unit() { grep -Eq '/noderax-(task|terminal)-' /proc/self/cgroup 2>/dev/null; }

# Debian's way for an administrator, or whoever makes an image, to forbid starts.
is_allowed() {
  [ -x /usr/sbin/policy-rc.d ] || return 0
  /usr/sbin/policy-rc.d noderax-agent "$1" >/dev/null 2>&1 || [ $? = 104 ]
}

# The outermost package manager that this script is a part of: its process id.
package_manager() {
  id=$$ found=
  while [ "${id:-0}" -gt 1 ]; do
    case $(cat "/proc/$id/comm") in
      apt* | dpkg* | unattended-upgr* | rpm* | dnf* | microdnf | yum* | zypper) found=$id ;;
    esac
    id=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$id/status")
  done
  echo "$found"
}

# Restarts the service if it runs. Where this is a task of the agent, the restart comes when the
# package manager is done: it would be ended half way through.
restart_service() {
  systemd_runs && is_allowed restart || return 0
  if inside_service; then
    systemd-run --quiet --collect --no-block /bin/sh -c \
      '[ -z "$1" ] || tail --pid="$1" -f /dev/null; exec systemctl try-restart "$0"' \
      "$service" "$(package_manager)" || complain "restart the service: systemctl restart $service"
  else
    systemctl --no-block try-restart "$service" || true
  fi
}

# Before the program goes; the argument is the command that removes it.
stop_service() {
  systemd_runs || return 0
  if inside_service || inside_unit; then
    complain "this belongs to the agent's service and ends with it: run \`systemd-run --pipe --wait $1\`"
    exit 1
  fi
  mkdir -p "$state_folder"
  { systemctl is-active "$service" || true; systemctl is-enabled "$service" || true; } >"$before_removal"
  systemctl stop "$service" || ! systemctl is-active --quiet "$service" || exit 1
  # With what tasks have left in the background.
  systemctl stop noderax.slice || true
}

# As it was when the package was removed, or was about to be.
bring_service_back() {
  [ -e "$before_removal" ] || return 0
  was=$(cat "$before_removal")
  rm -f "$before_removal"
  systemd_runs || return 0
  case $was in *enabled) systemctl enable --quiet "$service" || true ;; esac
  case $was in active* | activating*) ;; *) return 0 ;; esac
  is_allowed start || return 0
  systemctl --no-block start "$service" || true
}

reload_systemd() {
  systemd_runs || return 0
  systemctl daemon-reload || true
}

# Tasks that are the agent's children would inherit what locks its unit down, so that goes then; it
# is `noderax-agent install` that looks again.
fit_unit() {
  grep -Eq '"task_isolation"[[:space:]]*:[[:space:]]*"child"' "$config" 2>/dev/null ||
    [ "$(cat /sys/fs/selinux/enforce 2>/dev/null)" = 1 ] || return 0
  [ ! -e "$mask" ] || return 0
  mkdir -p "${mask%/*}"
  echo "# Tasks would inherit what locks the agent's unit down." >"$mask"
}

make_user() {
  getent passwd noderax >/dev/null ||
    { command -v systemd-sysusers >/dev/null && systemd-sysusers noderax-agent.conf; } ||
    useradd --system --user-group --home-dir /home/noderax --shell /bin/bash \
      --comment "Noderax agent tasks" noderax
  home=$(getent passwd noderax | cut -d: -f6)
  # The agent 1.x lived in its state folder, and that user keeps its home.
  [ "$home" = /home/noderax ] && [ ! -e "$home" ] || return 0
  mkdir -m 0700 -p "$home"
  [ ! -d /etc/skel ] || cp -RT /etc/skel "$home"
  chown -R noderax: "$home"
}

make_link() {
  [ "$(readlink "$link")" != "$program" ] || return 0
  if [ -e "$link" ] || [ -L "$link" ]; then
    complain "$link is there already and stays: the command is $program"
    return 0
  fi
  mkdir -p "${link%/*}"
  ln -s "$program" "$link"
}

remove_link() {
  [ "$(readlink "$link")" != "$program" ] || rm -f "$link"
}

# What `noderax-agent install` has made gives way; put_back undoes it.
take_over() {
  [ ! -e "$program_folder/package" ] || return 0
  if [ -e "$installed_unit" ] && ! grep -q 'Made by `noderax-agent install`' "$installed_unit"; then
    complain "$installed_unit is not of this agent, but maybe of an agent 1.x: take that over by" \
      "\`noderax-agent install\` of the portable release, then install the package"
    exit 1
  fi
  if [ -e "$program_folder" ]; then
    rm -rf "$program_folder.old"
    mv "$program_folder" "$program_folder.old"
  fi
  [ ! -e "$installed_unit" ] || mv "$installed_unit" "$installed_unit.old"
}

put_back() {
  if [ -e "$program_folder.old" ] && { [ ! -e "$program_folder" ] || [ -e "$program_folder/package" ]; }; then
    rm -rf "$program_folder"
    mv "$program_folder.old" "$program_folder"
  fi
  [ ! -e "$installed_unit.old" ] || mv "$installed_unit.old" "$installed_unit"
  reload_systemd
}

# What Deno keeps of the program, beside it.
forget_cache() { rm -rf "$program_folder/cache"; }

# That of root's commands and of the service: the first start is as quick as any other.
make_cache() {
  mkdir -p -m 0700 /var/cache/noderax-agent || return 0
  for folder in "$program_folder/cache" /var/cache/noderax-agent; do
    timeout 60s "$program" prepare-cache "$folder" </dev/null >/dev/null 2>&1 || true
  done
}

forget_old() {
  rm -rf "$program_folder.old" "$program_folder.new" "$installed_unit.old"
  forget_cache
  # It still leads to the unit that has given way.
  if [ -L "$enabled" ] && [ ! -e "$enabled" ]; then ln -sf "$unit" "$enabled"; fi
}

# After the program is gone.
forget_service() {
  remove_link
  if grep -q '^# Tasks would' "$mask" 2>/dev/null; then
    rm -f "$mask"
    rmdir "${mask%/*}" 2>/dev/null || true
  fi
  rm -rf /var/cache/noderax-agent /run/noderax-agent
  rm -f "$enabled"
}

# The last word, where nothing runs yet.
say_what_is_next() {
  if systemd_runs && systemctl is-enabled --quiet "$service"; then return 0; fi
  echo "The Noderax agent is installed. To enroll this machine and start it: sudo noderax-agent enroll"
}
