#!/bin/bash
# Installs the Debian packages that the integration tests and the two-machine lab run: the real daemons, none of them
# started on this machine. Does nothing where all are there. Without root or apt it says what is missing and exits 0:
# whether the tests can do without is for the caller to decide.
set -euo pipefail

# Never systemd-resolved or libnss-resolve: installing them replaces /etc/resolv.conf and takes this machine's DNS away.
packages=(
  openssh-server openssh-client avahi-daemon avahi-utils network-manager
  nix-bin nix-setup-systemd patchelf busybox-static debian-archive-keyring
  systemd systemd-sysv systemd-container dbus dbus-user-session libpam-systemd
  iproute2 nftables socat procps iputils-ping util-linux bsdutils curl
  zsh fish mandoc groff-base sudo chromium-headless-shell nginx-light openssl
)
policy=/usr/sbin/policy-rc.d
marker="# written by nix-tether's scripts/install-packages.sh"

say() { printf 'install-packages: %s\n' "$*" >&2; }

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  say "no apt here: the tests with real daemons need Debian 12 or later with ${packages[*]}"
  exit 0
fi

missing=()
for package in "${packages[@]}"; do
  # shellcheck disable=SC2016 # the format is dpkg-query's
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ]; then
  say "missing: ${missing[*]}"
  say "run this as root: $(realpath "$0")"
  exit 0
fi

# Keeps the daemons from being started now. A policy that was here before is left as it is: it is the administrator's.
unprotect() { if [ "$(sed -n 2p "$policy" 2>/dev/null)" = "$marker" ]; then rm -f "$policy"; fi; }
if [ ! -e "$policy" ]; then
  trap unprotect EXIT
  printf '#!/bin/sh\n%s\nexit 101\n' "$marker" >"$policy"
  chmod 755 "$policy"
fi

say "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install -y --no-install-recommends "${missing[@]}"
