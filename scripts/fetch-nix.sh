#!/bin/bash
# Gets newer releases of Nix out of Debian's later suites into folders of their own, for tests against several versions.
# The system's Nix and its package database are not touched; the binaries bring their own C library.
#
# usage: fetch-nix.sh [VERSION-]SUITE...    e.g. fetch-nix.sh 2.26-trixie forky
#   VERSION             fail if the suite has another; without it, whatever the suite has now
#   NIX_TETHER_NIX_DIR  where the folders go: nix-SUITE each (default: ${XDG_CACHE_HOME:-~/.cache}/nix-tether-lab)
# Afterwards nix-SUITE/bin holds nix, nix-build, nix-daemon and so on, and nix-SUITE/version the exact version.
# Needs root's rights for nothing; needs a Debian whose apt has a mirror, dpkg-deb, patchelf and flock.
set -euo pipefail

base=${NIX_TETHER_NIX_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/nix-tether-lab}

say() { printf 'fetch-nix: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

# Whether version FOUND is WANTED, or a later patch of it; an empty WANTED is any.
is_wanted() { case $1 in "$2" | "${2:+$2.}"*) ;; *) return 1 ;; esac; }

# The mirror that this machine's own apt uses for its main Debian suite, whatever the format of its lists.
mirror() {
  local codename
  codename=$(. /etc/os-release && printf %s "${VERSION_CODENAME:-}")
  apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
    awk -v suite="$codename" '$1 == suite { print $2; exit }'
}

# A private apt: own lists, own cache, an empty package status, so that the whole closure down to libc6 is downloaded.
# SUITE FOLDER
apt_tree() {
  local suite=$1 dir=$2 uri keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  uri=$(mirror)
  [ -n "$uri" ] || die "apt on this machine names no Debian mirror for its own release"
  [ -e "$keyring" ] || die "$keyring is missing: install debian-archive-keyring"
  mkdir -p "$dir"/{etc,state/lists/partial,cache/archives/partial}
  : >"$dir/state/status"
  printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$uri" "$suite" >"$dir/etc/sources.list"
  # A frozen mirror may be older than the expiry date of its lists; apt's hooks belong to the machine, not to this tree.
  cat >"$dir/apt.conf" <<-CONF
	#clear APT::Update;
	#clear DPkg::Post-Invoke;
	Dir::Etc::SourceList "$dir/etc/sources.list";
	Dir::Etc::SourceParts "/dev/null";
	Dir::Etc::Preferences "/dev/null";
	Dir::Etc::PreferencesParts "/dev/null";
	Dir::State "$dir/state";
	Dir::State::Status "$dir/state/status";
	Dir::Cache "$dir/cache";
	Dir::Cache::Archives "$dir/cache/archives";
	Acquire::Check-Valid-Until "false";
	Acquire::Languages "none";
	APT::Install-Recommends "false";
	APT::Sandbox::User "root";
	CONF
}

# Copies into LIBS every library of the unpacked tree that BINARY needs, directly or not.
# TREE/usr/lib/MULTIARCH LIBS BINARY
copy_libraries() {
  local from=$1 to=$2 needed
  for needed in $(patchelf --print-needed "$3"); do
    [ -e "$to/$needed" ] && continue
    [ -e "$from/$needed" ] || die "$needed is in none of the downloaded packages"
    cp -L "$from/$needed" "$to/$needed"
    copy_libraries "$from" "$to" "$to/$needed"
  done
}

# Turns the packages in DEBS into NEW, to be used as FINAL: the one binary with its loader and libraries, and a wrapper a command.
assemble() {
  local debs=$1 new=$2 final=$3 deb tree=$1/tree multiarch loader command
  mkdir -p "$tree" "$new/lib" "$new/bin" "$new/libexec"
  for deb in "$debs"/nix-bin_*.deb "$debs"/lib*.deb "$debs"/zlib*.deb; do dpkg-deb -x "$deb" "$tree"; done
  loader=$(basename "$(patchelf --print-interpreter "$tree/usr/bin/nix")")
  multiarch=$(cd "$tree/usr/lib" && echo *-linux-gnu*)
  cp "$tree/usr/bin/nix" "$new/libexec/nix"
  copy_libraries "$tree/usr/lib/$multiarch" "$new/lib" "$new/libexec/nix"
  # DT_RPATH, unlike RUNPATH, also serves the libraries' own needs, so they can stay as they are.
  patchelf --set-interpreter "$final/lib/$loader" --force-rpath --set-rpath "$final/lib" "$new/libexec/nix"
  for command in "$tree"/usr/bin/nix*; do
    command=$(basename "$command")
    [ "$command" = nix ] || ln -s nix "$new/libexec/$command"
    # Nix looks for its helpers where it was built to be, unless told otherwise.
    printf '#!/bin/sh\nNIX_BIN_DIR=%s exec %s "$@"\n' "'$final/bin'" "'$final/libexec/$command'" >"$new/bin/$command"
    chmod 755 "$new/bin/$command"
  done
}

# A store of its own in WORK: initialise it, build in it, and build through a daemon on it.
try_out() {
  local bin=$1/bin work=$2 daemon expression i
  export NIX_STORE_DIR=$work/store NIX_STATE_DIR=$work/var NIX_LOG_DIR=$work/log NIX_CONF_DIR=$work/conf
  export NIX_DAEMON_SOCKET_PATH=$work/socket NIX_REMOTE=local HOME=$work
  mkdir -p "$work/conf"
  printf 'sandbox = false\nsubstituters =\nbuild-users-group =\n' >"$work/conf/nix.conf"
  expression='{ n }: derivation { name = n; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo $name >$out" ]; }'
  "$bin/nix-store" --init
  "$bin/nix-build" --no-out-link -E "$expression" --argstr n alone
  "$bin/nix-daemon" --daemon &
  daemon=$!
  for i in $(seq 100); do [ -S "$NIX_DAEMON_SOCKET_PATH" ] && break; sleep 0.05; done
  NIX_REMOTE="unix://$NIX_DAEMON_SOCKET_PATH" "$bin/nix-build" --no-out-link -E "$expression" --argstr n served ||
    { kill "$daemon"; return 1; }
  kill "$daemon"
}

fetch() { # VERSION SUITE
  local version=$1 suite=$2 final=$base/nix-$2 found
  mkdir -p "$base"
  exec 8>"$base/.nix-$suite.lock"
  flock -w 300 8 || die "another run still holds $base/.nix-$suite.lock"
  if [ -e "$final/version" ]; then
    found=$(cat "$final/version")
    if is_wanted "$found" "$version"; then return 0; fi
    say "$final holds Nix $found, wanted $version: fetching anew"
  fi
  # Not local: the trap runs when the function has ended. Short, for a socket's path may have 108 characters only.
  work=$(mktemp -d "$base/.new.XXXXXX")
  trap 'chmod -R u+w "$work" 2>/dev/null; rm -rf "$work"' EXIT
  apt_tree "$suite" "$work/apt"
  apt-get -c "$work/apt/apt.conf" -qq update
  apt-get -c "$work/apt/apt.conf" -qq install -y --download-only nix-bin >"$work/apt.log" 2>&1 ||
    { cat "$work/apt.log" >&2; die "could not download Nix of $suite"; }
  found=$(dpkg-deb -f "$work"/apt/cache/archives/nix-bin_*.deb Version | sed 's/[-+].*//')
  is_wanted "$found" "$version" ||
    die "$suite has Nix $found by now, not $version: name another suite or another version"
  assemble "$work/apt/cache/archives" "$work/new" "$final"
  rm -rf "$final"
  mv "$work/new" "$final"
  [ "$("$final/bin/nix" --version | sed 's/.* //; s/+.*//')" = "$found" ] || die "$final/bin/nix is not Nix $found"
  try_out "$final" "$work/try" >"$work/try.log" 2>&1 || { cat "$work/try.log" >&2; die "Nix $found of $suite does not work here"; }
  echo "$found" >"$final/version.new"
  mv "$final/version.new" "$final/version"
  say "Nix $found from $suite is in $final"
}

[ $# -gt 0 ] || die "usage: $0 [VERSION-]SUITE..., e.g. 2.26-trixie"
for command in apt-get dpkg-deb patchelf flock; do
  command -v "$command" >/dev/null || die "$command is missing: see scripts/install-packages.sh"
done
for wanted in "$@"; do
  case $wanted in
    *-*) (fetch "${wanted%-*}" "${wanted##*-}") ;;
    *) (fetch "" "$wanted") ;;
  esac
done
