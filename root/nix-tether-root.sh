#!/bin/sh
# Lets root's Nix commands use a user's caches while they are in reach. Root never sees a user's nix.conf, and must not
# include a file that the user can write: so this makes a copy that root owns and nobody else can read,
# /run/nix-tether/USER.conf. nix-tether-root@USER.path has it run, as root, whenever the user's override changes.
#
# What includes the copy is /etc/xdg/nix/nix.conf: from there a command of root's tells the nix-daemon, as it does not with
# what stands in /etc/nix/nix.conf. The nix-daemon itself must not read it, for it would keep for all users what was in
# reach when it began: NIX_USER_CONF_FILES is empty for it.
#
# The user may be hostile. Their file is read as the user, never as root, up to a bound of bytes and of time. What it says
# is only compared: every word of the copy is made here, out of root's own file /etc/nix-tether/root.conf.
#   cache = ada http://127.0.0.1:37515/pi?priority=30
#                                 a cache that root may use too, as its URL is in that user's override but without the
#                                 number, a line each
#   override = ada /path          where the override is, if not in ~/.config/nix/nix-tether.conf
# A cache is listed while the override lists it and that user holds the gateway's port: one that is left over from a
# computer that crashed would cost root's builds seconds, and then fail them.
#
# Nix still takes nothing from there that is not signed by a key which root trusts. With their gateway the user can slow
# root's commands down, not feed them.
#
# usage (root): nix-tether-root.sh USER

set -fu
umask 077
export LC_ALL=C
PATH=${PATH:+$PATH:}/run/current-system/sw/bin:/usr/bin:/bin:/usr/sbin:/sbin

user=${1-}
conf=${NIX_TETHER_ROOT_CONF:-/etc/nix-tether/root.conf}
folder=${RUNTIME_DIRECTORY:-/run/nix-tether}
copy=$folder/$user.conf
# The daemon lists each cache in some sixty bytes.
most=16384

# The number is the journal's: 3 for an error, 4 for a warning, 5 for a change.
say() { printf '<%s>%s\n' "$@" >&2; }
die() { say 3 "$@"; exit 1; }

# Sets uid, gid and home.
look_up() {
  case $user in
    '' | .* | *[!a-zA-Z0-9._-]*) die "\"$user\" can not be a user's name." ;;
  esac
  IFS=: read -r _ _ uid gid _ home _ <<END
$(getent passwd "$user")
END
  [ -n "$home" ] || die "There is no user $user."
  [ "$uid" != 0 ] || die "Root's own override needs no copy."
}

# Sets caches (the URLs, a space between them) and override.
configure() {
  caches= override=$home/.config/nix/nix-tether.conf
  [ -r "$conf" ] || die "$conf is missing: it names the caches that root's commands may use."
  while IFS='= 	' read -r key who value || [ -n "$key" ]; do
    case $key in
      '' | '#'*) continue ;;
      cache | override) [ "$who" = "$user" ] || continue ;;
      *) say 4 "$conf: $key is not known; known are cache and override." && continue ;;
    esac
    case $key:$value in
      override:/*) override=$value ;;
      cache:http://127.0.0.1:*/*\?priority=*) is_cache "$value" && caches="$caches $value" ;;
      *) say 4 "$conf: \"$value\" can not be used." ;;
    esac
  done <"$conf"
}

# http://127.0.0.1:PORT/NAME?priority=NUMBER, and nothing else: with "trusted=true" the user could give root anything.
is_cache() {
  rest=${1#http://127.0.0.1:}
  port=${rest%%/*}
  rest=${rest#*/}
  name=${rest%%\?*}
  priority=${rest#*\?priority=}
  case $port:$priority in *[!0-9:]*) name= ;; esac
  case $port,$priority in ,* | *, | ??????*,*) name= ;; esac
  case $name in
    '' | *[!a-zA-Z0-9_-]*) say 4 "$conf: \"$1\" can not be used." && return 1 ;;
  esac
}

# The words that the user's file lists. Becomes the user with none of root's environment, groups and open files. It must
# end although the user can hold that process up, and keep the pipe open with others of theirs.
listed() {
  env -i PATH="$PATH" timeout -s KILL 5 \
    setpriv --reuid="$uid" --regid="$gid" --clear-groups --no-new-privs \
    /bin/sh -c 'if [ -f "$1" ] && ! [ -L "$1" ]; then exec head -c "$2" "$1"; fi' read "$override" $((most + 1)) \
    </dev/null 2>/dev/null | timeout -s KILL 6 head -c $((most + 1)) | tr '\000' '\001' | {
    text=$(cat)
    [ ${#text} -le $most ] || return 0
    while read -r key sign urls; do
      if [ "$key $sign" = "extra-substituters =" ]; then printf '%s ' "$urls"; fi
    done <<END
$text
END
  }
}

# PORT: whether that user listens there.
holds() {
  hex=$(printf %04X "$1")
  while read -r _ address _ state _ _ _ owner _; do
    case $address:$state:$owner in
      0100007F:"$hex":0A:"$uid" | 7F000001:"$hex":0A:"$uid") return 0 ;;
    esac
  done </proc/net/tcp
  return 1
}

# Sets content to what the copy is to be: of each cache the one URL of its sixteen that is listed.
decide() {
  words=" $(listed)" urls=
  for cache in $caches; do
    before=${cache%%\?*} after=${cache#*\?}
    for n in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
      url="$before/$n?$after"
      case $words in
        *" $url "*) ;;
        *) continue ;;
      esac
      port=${url#http://127.0.0.1:}
      ! holds "${port%%/*}" || urls="$urls $url"
      break
    done
  done
  content="# Written by nix-tether-root@$user.service, for root's commands. Changes made here are lost.${urls:+
extra-substituters =$urls}"
}

# Nix passes over an include that it can not read, as long as it can look into the folder.
replace() {
  temporary=$(mktemp "$folder/.$user.XXXXXX") || exit
  if ! printf '%s\n' "$content" >"$temporary" || ! mv -fT "$temporary" "$copy"; then
    rm -f "$temporary"
    exit 1
  fi
  say 5 "root's commands use${urls:- none of $user's caches}"
}

look_up
configure
decide
[ "$(cat "$copy" 2>/dev/null)" = "$content" ] || replace
