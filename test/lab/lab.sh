#!/bin/bash
# Two real systemd machines, "laptop" and "pi", joined by a virtual switch whose cables can be pulled. One lab at a time
# on a machine: a lock sees to it. With NIX_TETHER_LAB=2 in the environment it is another one, with another lock, and both
# may be up. Needs root and the packages of scripts/install-packages.sh.
#
# usage: lab.sh up [--nix 2.8|2.26|2.34]     comes up and stays until "down"
#        lab.sh hold [--nix VERSION]         the same in the foreground: prints "locked" when it is its turn, "ready" when
#                                            both machines are up, and ends when stdin does
#        lab.sh down                         ends what "up" began, and takes away what a killed run left behind
#        lab.sh exec HOST COMMAND...         as root in a machine
#        lab.sh user HOST USER COMMAND...    as a user in a machine (laptop: dev, pi: pi)
#        lab.sh cable HOST up|down           plugs or pulls that machine's cable at the switch
#        lab.sh cable HOST home|cafe         moves it to that switch and plugs it in there
#        lab.sh bandwidth HOST RATE          limits what reaches that machine, e.g. to 400mbit
#        lab.sh net PLACE COMMAND...         in that network alone: laptop, pi, switch, stranger (of the café)
#        lab.sh leftovers                    lists what is there of a lab; nothing after "down"
# Nix 2.8 means the system's own; the newer ones come from scripts/fetch-nix.sh.
set -euo pipefail

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
repo=$(realpath "$here/../..")
number=${NIX_TETHER_LAB:-}
state=/run/nix-tether-lab$number
lock=/run/lock/nix-tether-lab$number.lock
nix_dir=
node=$(realpath "$(command -v node || echo /nonexistent)")
. "$here/machines.sh"
. "$here/configure.sh"

say() { printf 'lab: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

choose_nix() { # VERSION: sets nix_dir
  local suite
  case $1 in
    2.8) return 0 ;;
    2.26) suite=trixie ;;
    2.34) suite=forky ;;
    *) die "Nix $1: only 2.8 (the system's), 2.26 and 2.34 are set up" ;;
  esac
  export NIX_TETHER_NIX_DIR=${NIX_TETHER_NIX_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/nix-tether-lab}
  "$repo/scripts/fetch-nix.sh" "$1-$suite"
  nix_dir=$NIX_TETHER_NIX_DIR/nix-$suite
}

bring_up() {
  local host
  mkdir -p "$state/lower" "$state/shared"
  mount --bind / "$state/lower"
  mount -o remount,ro,bind "$state/lower"
  make_keys
  for host in $hosts; do prepare "$host"; done
  configure_pi
  configure_laptop
  network_up
  for host in $hosts; do boot "$host"; done
  for host in $hosts; do wait_booted "$host"; done
}

# Kills the machines outright: all they are is memory. Safe to call for a lab that is half there, or not at all.
tear_down() {
  local host pid i
  for host in $hosts stranger; do
    for pid in $(ip netns pids "$(name_of "$host")" 2>/dev/null); do kill -KILL "$pid" 2>/dev/null || true; done
  done
  for host in $hosts; do
    pid=$(cat "$state/$host/nspawn.pid" 2>/dev/null || true)
    for i in $(seq 100); do is_nspawn "$pid" "$host" || break; sleep 0.02; done
    if is_nspawn "$pid" "$host"; then kill -KILL "$pid" || true; fi
  done
  for host in $hosts; do
    # What nspawn removes itself only when it ends in peace.
    rm -f "/run/systemd/nspawn/locks/inode-$(stat -c %d:%i "$state/$host/root" 2>/dev/null)"
    rm -rf /run/systemd/nspawn/{propagate,unix-export}/"$(name_of "$host")"
    unmount "$state/$host/root"
    unmount "$state/$host"
    remove_cgroups "$host"
  done
  unmount "$state/lower"
  for host in $hosts stranger switch; do ip netns del "$(name_of "$host")" 2>/dev/null || true; done
  rm -rf --one-file-system "$state"
}

is_nspawn() { # PID HOST: whether that process is still this lab's machine, and not another that got its number
  [ -n "$1" ] && grep -qazx -- "--machine=$(name_of "$2")" "/proc/$1/cmdline" 2>/dev/null
}

unmount() { # DIR: the machine's last process may take a moment to let go
  local i
  for i in $(seq 100); do
    mountpoint -q "$1" || return 0
    umount -R "$1" 2>/dev/null && return 0
    sleep 0.05
  done
  umount -R -l "$1" 2>/dev/null || true
}

remove_cgroups() { # HOST: they can go when the machine's last process has been reaped
  local hierarchy i
  for hierarchy in $(cgroup_roots); do
    for i in $(seq 100); do
      [ -d "$hierarchy/$(name_of "$1")" ] || break
      find "$hierarchy/$(name_of "$1")" -depth -type d -exec rmdir {} + 2>/dev/null && break
      sleep 0.02
    done
  done
}

hold() {
  exec 9>"$lock"
  flock -w "${NIX_TETHER_LAB_WAIT:-600}" 9 || die "another lab still holds $lock"
  trap tear_down EXIT
  trap 'exit 143' TERM INT HUP
  echo locked
  tear_down
  mkdir -p "$state"
  [ -z "${NIX_TETHER_LAB_STAYS:-}" ] || echo $$ >"$state/holder.pid"
  bring_up
  echo ready
  # Ends with whoever holds the other end of stdin, however it dies.
  read -r _ || true
}

up() {
  local ready holder came
  ready=$(mktemp)
  # A pipe opened for reading and writing never ends: this lab stays until "down".
  mkfifo "$ready.in"
  NIX_TETHER_LAB_STAYS=yes setsid "$0" hold "$@" <>"$ready.in" >"$ready" &
  holder=$!
  # It gives up by itself where the lock or a machine takes too long.
  until grep -qx ready "$ready" || ! kill -0 $holder 2>/dev/null; do sleep 0.05; done
  came=$(tail -n 1 "$ready")
  rm -f "$ready" "$ready.in"
  [ "$came" = ready ] || die "the lab did not come up"
}

down() {
  local holder i
  holder=$(cat "$state/holder.pid" 2>/dev/null || true)
  if [ -n "$holder" ] && grep -q lab.sh "/proc/$holder/cmdline" 2>/dev/null; then
    kill -TERM "$holder"
    for i in $(seq 600); do kill -0 "$holder" 2>/dev/null || break; sleep 0.05; done
  fi
  exec 9>"$lock"
  # A lab that a test holds is not ours to end, and has taken away what was left.
  flock -n 9 || return 0
  tear_down
}

leftovers() {
  mount | grep -F " on $state/" || true
  ip netns list | grep "^$(name_of '')" || true
  pgrep -a systemd-nspawn | grep -- "--machine=$(name_of '')" || true
  find $(cgroup_roots) -maxdepth 1 -name "$(name_of '*')"
  find "$state" /run/systemd/nspawn/propagate -maxdepth 1 -name "$(name_of '*')" 2>/dev/null || true
}

command=${1:-}
[ $# -eq 0 ] || shift
case $command in
  up | hold)
    [ "$(id -u)" = 0 ] || die "needs root"
    [ "${1:-}" != --nix ] || choose_nix "${2:?a version}"
    $command "$@"
    ;;
  down) down ;;
  exec) enter "$@" ;;
  user) enter_user "$@" ;;
  cable) cable "$@" ;;
  bandwidth) tc -n "$(name_of switch)" qdisc replace dev "to-$1" root tbf rate "${2:?a rate}" burst 512k latency 100ms ;;
  net) ip netns exec "$(name_of "$1")" "${@:2}" ;;
  leftovers) leftovers ;;
  *) sed -n '/^# usage/,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
