#!/bin/bash
# How long a build waits for its post-build hook: ours, beside one that runs `nix copy` to another machine's nix-daemon
# while the build waits, though here that machine costs no network, and one that starts Node. Needs root (ours then
# becomes a user, as under a nix-daemon), Nix, and touches nothing outside of a mount namespace.
#
# usage: hook.sh RUNS    Prints a line for each: the hook, and the microseconds that it took.
set -euo pipefail
runs=${1:?how many}
[ "$(id -u)" = 0 ] || { echo "hook.sh: needs root" >&2; exit 1; }
if [ -z "${TETHER_BENCH:-}" ]; then
  TETHER_BENCH=$(mktemp -d)
  trap 'rm -rf "$TETHER_BENCH"' EXIT
  export TETHER_BENCH
  unshare -m "$0" "$runs"
  exit
fi

repo=$(realpath "$(dirname "$0")/../..")
dir=$TETHER_BENCH
cd /
mount -t tmpfs none /nix
chmod 755 "$dir"
mkdir -p "$dir"/{home,conf,spool/incoming,spool/roots,bin}
chown -R nobody "$dir/spool"
echo "user = nobody $dir/spool" >"$dir/hook.conf"
printf 'build-users-group =\nsandbox = false\nsubstituters =\nexperimental-features = nix-command\n' >"$dir/conf/nix.conf"
export HOME=$dir/home NIX_CONF_DIR=$dir/conf NIX_REMOTE=local NIX_TETHER_HOOK_CONF=$dir/hook.conf

NIX_DAEMON_SOCKET_PATH=$dir/pi.sock NIX_REMOTE="local?root=$dir/pi" nix-daemon >/dev/null 2>&1 &
daemon=$!
trap 'kill $daemon' EXIT
for ((n = 0; n < 100; n++)); do [ -S "$dir/pi.sock" ] && break || sleep 0.1; done

cat >"$dir/bin/nix-copy" <<HOOK
#!/bin/bash
set -ef
export IFS=' '
exec nix copy --no-check-sigs --to "unix://$dir/pi.sock" \$DRV_PATH \$OUT_PATHS
HOOK
cat >"$dir/bin/node" <<HOOK
#!/usr/bin/env -S $(command -v node)
require("node:fs").appendFileSync("$dir/queue", process.env.OUT_PATHS + "\n");
HOOK
cat >"$dir/bin/nothing" <<HOOK
#!/bin/sh
HOOK
ln -s "$repo/hooks/post-build-hook.sh" "$dir/bin/nix-tether"
chmod 755 "$dir/bin"/*

hooks="nothing nix-tether node nix-copy"
for ((n = 0; n < runs; n++)); do
  expression="derivation { name = \"bench-$n\"; system = builtins.currentSystem; builder = \"/bin/sh\"; args = [ \"-c\" \"echo \$name >\$out\" ]; }"
  DRV_PATH=$(nix-instantiate -E "$expression" 2>/dev/null)
  OUT_PATHS=$(nix-store -r "$DRV_PATH" 2>/dev/null)
  export DRV_PATH OUT_PATHS
  # Each in turn, so that what else the machine does hits all alike.
  for hook in $hooks; do
    begun=${EPOCHREALTIME/./}
    "$dir/bin/$hook" </dev/null >/dev/null 2>"$dir/errors" || { cat "$dir/errors" >&2; exit 1; }
    echo $((${EPOCHREALTIME/./} - begun)) >>"$dir/$hook.times"
    [ ! -s "$dir/errors" ] || [ $hook = nix-copy ] || { cat "$dir/errors" >&2; exit 1; }
  done
done
[ "$(find "$dir/spool/incoming" -type f | wc -l)" = "$runs" ] || { echo "not everything was queued" >&2; exit 1; }

for hook in $hooks; do sed "s/^/$hook /" "$dir/$hook.times"; done
