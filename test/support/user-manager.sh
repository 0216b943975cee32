#!/bin/bash
# Runs commands as a user whose own systemd manager is up, on a machine where systemd itself does not run: in
# namespaces for processes, mounts, cgroups and the network (loopback only). All of it ends with the commands.
#
# usage (root): user-manager.sh UID HOME COMMANDS
set -euo pipefail

if [ "$1" != --inside ]; then
  hierarchy=/sys/fs/cgroup
  if mountpoint -q "$hierarchy/unified"; then hierarchy=$hierarchy/unified; fi
  group=$hierarchy/nix-tether-test-$$
  mkdir "$group"
  remove_group() {
    for _ in $(seq 50); do
      find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
      [ -e "$group" ] || return 0
      sleep 0.1
    done
  }
  trap remove_group EXIT
  # The shell that enters the group becomes the namespaces' root, so that the manager may divide it further.
  bash -c 'echo $$ >"$1/cgroup.procs"; shift
    exec unshare --pid --fork --kill-child --mount --mount-proc --cgroup --net "$@"' \
    enter "$group" bash "$0" --inside "$@"
  exit
fi

uid=$2
export HOME=$3
commands=$4
ip link set lo up
mount -t tmpfs -o mode=755 tmpfs /run
# What sd_booted(3) looks for; without it the user manager refuses to start.
mkdir -p /run/systemd/system
export XDG_RUNTIME_DIR=/run/user/$uid
mkdir -p "$XDG_RUNTIME_DIR"
umount -lR /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
chown -R "$uid" "$XDG_RUNTIME_DIR" /sys/fs/cgroup
chmod 700 "$XDG_RUNTIME_DIR"
export DBUS_SESSION_BUS_ADDRESS=unix:path=$XDG_RUNTIME_DIR/bus
as_user() { setpriv --reuid "$uid" --regid "$uid" --clear-groups "$@"; }

as_user /lib/systemd/systemd --user --log-target=console >"$HOME/manager.log" 2>&1 &
for _ in $(seq 200); do
  case $(as_user systemctl --user is-system-running 2>/dev/null || true) in
    running | degraded) as_user bash -c "$commands" && exit 0 || exit $? ;;
  esac
  sleep 0.05
done
echo "the user manager did not start" >&2
cat "$HOME/manager.log" >&2
exit 1
