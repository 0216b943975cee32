#!/bin/bash
# Measures what Nix does at each moment at which a Pi may leave, with the Pi as an ordinary cache and with nix-tether: the
# README's table. Each run brings up a lab of its own; what hangs is given 120 s, so some moments take long.
#
# usage: moments.sh VERSION WAY [MOMENT...]     e.g. moments.sh 2.34 http away mid-nar-return
#   VERSION  2.8, 2.26 or 2.34
#   WAY      ssh-ng      substituters = ssh-ng://pi@pi.local?…
#            http        a static cache, served by the Pi
#            nix-tether  this
#   MOMENT   online away plan nar-return nar-gone silent-return silent-gone killed restarted unsigned (default: all)
# Prints a line each: version, way, moment, exit code or "hangs", seconds, how many paths came from the Pi, how many
# were built. The path asked for is always one that Nix may also build itself, in a second.
set -euo pipefail

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
lab=$here/lab.sh
version=$1 way=$2
shift 2
moments=${*:-online away plan nar-return nar-gone silent-return silent-gone killed restarted unsigned}
limit=120
expressions=/opt/nix-tether/test/lab/chaos/closures.nix

laptop() { "$lab" exec laptop bash -euc "$1"; }
pi() { "$lab" exec pi bash -euc "$1"; }
dev() { "$lab" user laptop dev bash -euc "$1"; }

set_up() {
  local key='cp /home/dev/.ssh/lab /root/.ssh/id; chmod 600 /root/.ssh/id'
  # 200 MB then take four seconds.
  "$lab" bandwidth laptop 400mbit
  case $way in
    ssh-ng)
      laptop "mkdir -p /root/.ssh; $key; echo '10.77.0.1 pi.local' >>/etc/hosts; cp /home/dev/.ssh/known_hosts /root/.ssh/"
      use 'ssh-ng://pi@pi.local?ssh-key=/root/.ssh/id'
      ;;
    http)
      pi "mkdir -p /srv/cache; cd /srv/cache; printf 'StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n' >nix-cache-info
        systemd-run -q --unit=cache busybox httpd -f -p 80 -h /srv/cache"
      laptop "echo '10.77.0.1 pi.local' >>/etc/hosts"
      use http://pi.local
      ;;
    nix-tether)
      for unit in "$here"/../../systemd/nix-tether.{socket,service}; do
        "$lab" exec laptop tee "/etc/systemd/user/${unit##*/}" <"$unit" >/dev/null
      done
      dev "mkdir -p ~/.config/nix-tether; printf '[caches.pi]\nhost = \"pi.local\"\nuser = \"pi\"\n' >~/.config/nix-tether/config.toml
        systemctl --user daemon-reload; systemctl --user start nix-tether.socket nix-tether.service"
      ;;
    *) echo "no way $way" >&2; exit 2 ;;
  esac
  ready
}

use() { laptop "sed -i 's|^substituters =.*|substituters = $1|' /etc/nix/nix.conf; systemctl restart nix-daemon.service"; }

ready() { # The Pi is there, and nix-tether has seen it.
  laptop 'for i in $(seq 450); do timeout 1 bash -c "</dev/tcp/10.77.0.1/22" 2>/dev/null && exit; sleep 0.1; done; exit 1'
  [ $way != nix-tether ] || dev 'for i in $(seq 450); do nix-tether status --quiet && exit; sleep 0.1; done; exit 1'
}

stock() { # ATTRIBUTE SALT: builds it on the Pi
  pi "path=\$(NIX_REMOTE=local nix-build --no-out-link $expressions -A $1 --argstr salt $2 2>/dev/null)
    [ $way != http ] || NIX_REMOTE=local nix copy --to 'file:///srv/cache?compression=none' \$path 2>/dev/null"
}

ask() { # ATTRIBUTE SALT: asks for it on the laptop and prints what came of it
  local log begun status=0
  log=$(mktemp)
  begun=$(date +%s%N)
  dev "timeout -k 2 $limit nix-build --no-out-link $expressions -A $1 --argstr salt $2" >/dev/null 2>"$log" || status=$?
  case $status in 124 | 137) status=hangs ;; esac
  awk -v status=$status -v ms=$((($(date +%s%N) - begun) / 1000000)) -v row="$version $way $moment" \
    '/^copying path .* from/ { copied++ } /^building / { built++ }
     END { printf "%s: exit %s, %.1f s, %d from the Pi, %d built\n", row, status, ms / 1000, copied, built }' "$log"
  [ -z "${MOMENTS_LOG:-}" ] || sed 's/^/    /' "$log"
  rm -f "$log"
}

silence() { # Packets vanish, and neither side is told.
  pi "nft -f - <<'NFT'
table inet silence {
  chain in { type filter hook input priority 0; iifname eth0 drop; }
  chain out { type filter hook output priority 0; oifname eth0 drop; }
}
NFT"
}
unsilence() { pi 'nft delete table inet silence 2>/dev/null || true'; }

during() { # ATTRIBUTE SECONDS COMMAND: asks, and runs the command so long after that
  local attribute=$1 after=$2 salt=$moment
  shift 2
  stock "$attribute" "$salt"
  ask "$attribute" "$salt" &
  sleep "$after"
  "$@"
  wait $!
}

leave_for() { "$lab" cable laptop down; sleep "$1"; "$lab" cable laptop up; }
fall_silent_for() { silence; sleep "$1"; unsilence; }

measure() {
  moment=$1
  case $moment in
    online) stock big online; ask big online ;;
    away)
      stock big away
      "$lab" cable laptop down
      # By then NetworkManager has taken the addresses away.
      sleep 10
      ask big away
      ;;
    plan) during many 0.3 "$lab" cable laptop down ;;
    nar-return) during big 2 leave_for 5 ;;
    nar-gone) during big 2 "$lab" cable laptop down ;;
    silent-return) during big 2 fall_silent_for 5 ;;
    silent-gone) during big 2 silence ;;
    killed | restarted)
      [ $way = nix-tether ] || return 0
      [ $moment = killed ] && set -- kill --kill-who=main --signal=KILL || set -- restart
      during big 2 dev "systemctl --user $* nix-tether.service"
      ;;
    unsigned)
      pi 'sed -i /secret-key-files/d /etc/nix/nix.conf'
      stock one unsigned
      ask one unsigned
      ;;
    *) echo "no moment $moment" >&2; exit 2 ;;
  esac
  "$lab" cable laptop up
  unsilence
  ready
}

# The lab lives as long as our end of its stdin.
coproc LAB { "$lab" hold --nix "$version"; }
until [ "${word:-}" = ready ]; do read -r word <&"${LAB[0]}"; done
set_up
for each in $moments; do measure "$each"; done
exec {LAB[1]}>&-
wait "$LAB_PID"
