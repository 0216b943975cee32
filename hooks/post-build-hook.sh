#!/bin/sh
# Nix's post-build hook: puts what has just been built into the spools of those who upload it. Nix runs it once a
# derivation, as root where there is a nix-daemon, and waits; a failure would fail the build. So it starts few programs,
# gives up a spool that hangs, says in one line on stderr what went wrong, and always exits 0.
#
# Root's nix.conf names it:  post-build-hook = /path/to/post-build-hook.sh
# What it is to do stands in /etc/nix-tether/hook.conf, a file of root's (a wrapper of root's may set
# NIX_TETHER_HOOK_CONF to another). It is read, never run:
#   user = ada                    whose uploads these are, a line each; their spool is ~/.local/state/nix-tether/spool,
#   user = bob /path              or the one named here.
#   user = eve 1002:100 /path     With uid and gid nobody has to be looked up, which is faster.
#   chain = /path                 another hook, run afterwards with the environment and stdin that Nix gave to this one.
#                                 Its output is shown, its failure not passed on; Nix waits for it as it would anyway.
# Where Nix has no daemon, and so does not run it as root, the spool is the caller's own and only `chain` is looked at.
#
# What it leaves behind is made as the spool's owner, for no link in a user's folder may lead root astray:
#   SPOOL/roots/<base name>               a link to each output
#   SPOOL/incoming/<hash>-<pid>-<uptime>  flushed to disk. Its last line proves that it is whole:
#     nix-tether-incoming 1
#     drv /nix/store/….drv       or nothing after "drv "
#     out /nix/store/…           a line for each output
#     end
# and, in a folder of root's, what makes roots of the garbage collector out of these links:
#   /nix/var/nix/gcroots/auto/nix-tether-<uid>/<base name> -> SPOOL/roots/<base name>
# The spool itself is never made here: the store of somebody who has removed theirs must not fill up.

# One line for the person who builds. Descriptor 3 is Nix's stderr; 2 is for what nobody needs to see.
tether_say() { printf 'nix-tether: %s\n' "$*" >&3; }

# ---- The second stage, as the spool's owner: PATH SPOOL DRV OUTPUT... Returns 3 when it has said what is wrong.

tether_put() {
  PATH=$1 spool=$2 drv=$3
  shift 3
  if ! [ -d "$spool/incoming" ] || ! [ -d "$spool/roots" ]; then
    tether_say "not queued: there is no spool at $spool; the daemon makes it once uploads are configured."
    return 3
  fi
  hash=${1#/nix/store/}
  read -r uptime _ </proc/uptime
  file=$spool/incoming/${hash%%-*}-$$-$uptime
  umask 077
  ln -sf "$@" "$spool/roots/" # the daemon makes good what fails here
  if ! { printf 'nix-tether-incoming 1\ndrv %s\n' "$drv" && printf 'out %s\n' "$@" && echo end; } >"$file"; then
    rm -f "$file"
    tether_say "not queued: $spool/incoming can not be written to, or its disk is full."
    return 3
  fi
  # A daemon that runs may be quicker, and has flushed a copy of its own before it removes this one.
  sync "$file" "$spool/incoming" "$spool/roots" || [ ! -e "$file" ] ||
    tether_say "queued, but $spool could not be flushed to disk."
}

if [ "${1-}" = tether-put ]; then
  shift
  tether_put "$@"
  exit
fi

# ---- The first stage, as whoever Nix runs it as.

# Queues for everybody concerned. Prints the hook to run afterwards, as soon as that is known.
tether_queue() {
  set -f # nothing here is a pattern for files
  IFS=' 	'
  LC_ALL=C
  PATH=${PATH:+$PATH:}/run/current-system/sw/bin:/usr/bin:/bin:/usr/sbin:/sbin
  conf=${NIX_TETHER_HOOK_CONF:-/etc/nix-tether/hook.conf}
  tether_whoami
  tether_configure
  tether_outputs
  if [ -z "$outputs" ]; then
    tether_say "not queued: no outputs are known of ${DRV_PATH:-a derivation without a name}."
  elif [ "$me" != 0 ]; then
    tether_deliver you "$me" - "${XDG_STATE_HOME:-${HOME-}/.local/state}/nix-tether/spool"
  elif [ -z "$users" ]; then
    tether_say "not queued: $conf names no user."
  else
    while read -r user rest; do
      [ -z "$user" ] || tether_queue_for "$user" "$rest"
    done <<END
$users
END
  fi
}

# Sets me to the effective uid, without starting a program where the kernel has it in a file.
tether_whoami() {
  me=
  while read -r key _ value _; do
    if [ "$key" = Uid: ]; then me=$value && break; fi
  done </proc/self/status
  [ -n "$me" ] || me=$(id -u)
}

# Reads the file. Sets users (NAME [[UID:GID] SPOOL], a line each) and prints the chained hook.
tether_configure() {
  users= chain=
  [ -r "$conf" ] || return 0
  while IFS='= 	' read -r key value || [ -n "$key" ]; do
    case $key in
      '' | '#'*) ;;
      user) users="$users$value
" ;;
      chain) chain=$value ;;
      *) tether_say "$conf: $key is not known; known are user and chain." ;;
    esac
  done <"$conf"
  if [ -z "$chain" ] || [ "$chain" -ef "$0" ]; then return 0; fi
  if [ "$me" = 0 ]; then
    set -- $(ls -ldnL "$conf")
    case $3:$1 in
      [!0]* | 0:?????w* | 0:????????w*)
        tether_say "$chain is not run: somebody else than root can write to $conf."
        return 0
        ;;
    esac
  fi
  printf %s "$chain"
}

# Sets drv and outputs, to what can be store paths. Debian's Nix 2.8 leaves OUT_PATHS empty: then the outputs are read
# from the derivation, a file of one line that begins  Derive([("out","/nix/store/…","",""),…],
tether_outputs() {
  tether_store_paths "${DRV_PATH-}"
  drv=$found text=${OUT_PATHS-}
  if [ -z "$text" ] && [ -n "$drv" ]; then
    text=$(sed -n '1s/^Derive(\[\(([^]]*)\)\],.*/\1/p' "$drv")
  fi
  tether_store_paths "$text"
  outputs=$found
}

# Sets found to the store paths in a text, a space between them.
tether_store_paths() {
  found=
  IFS=' 	
,"()'
  for word in $1; do
    case $word in
      *[!a-zA-Z0-9/+._?=-]* | /nix/store/*/*) ;;
      /nix/store/????????????????????????????????-?*) found=$found${found:+ }$word ;;
    esac
  done
  IFS=' 	'
}

# NAME, then what the file says of them: nothing, a spool, or uid, gid and spool.
tether_queue_for() {
  case $2 in
    [0-9]*:[0-9]*' /'*)
      ids=${2%% *}
      tether_deliver "$1" "${ids%:*}" "${ids#*:}" "${2#* }"
      return
      ;;
  esac
  entry=
  case $1 in
    *[!a-zA-Z0-9._-]*) ;;
    *) entry=$(getent passwd "$1") || entry=$(grep "^$1:" /etc/passwd) ;;
  esac
  IFS=: read -r _ _ uid gid _ home _ <<END
$entry
END
  if [ -z "$home" ]; then
    tether_say "not queued: there is no user $1, whom $conf names."
    return
  fi
  tether_deliver "$1" "$uid" "$gid" "${2:-$home/.local/state/nix-tether/spool}"
}

# NAME UID GID SPOOL: has the second stage run by that user, through the first tool that can become them. It has a limit
# of time, for a dead network mount must not stop every build; none of root's environment, which may hold secrets; and
# the script on stdin, for the user may not be able to read where it lies.
tether_deliver() {
  user=$1 uid=$2 gid=$3 spool=$4 limit=
  ! command -v timeout >/dev/null || limit="timeout -s KILL 10"
  for way in itself setpriv runuser su; do
    case $way in
      itself) [ "$uid" = "$me" ] ;;
      *) command -v "$way" >/dev/null ;;
    esac || continue
    set -- /bin/sh -s tether-put "$PATH" "$spool" "$drv" $outputs
    case $way in
      itself) set -- env -i "$@" ;;
      # The user's further groups are left out: where these come over the network, their look-up may take long.
      setpriv) set -- setpriv --reset-env --reuid="$uid" --regid="$gid" --clear-groups --no-new-privs "$@" ;;
      runuser) set -- env -i PATH="$PATH" runuser -u "$user" -- "$@" ;;
      su) set -- env -i PATH="$PATH" su -s /bin/sh -c 'exec "$0" "$@"' -- "$user" "$@" ;;
    esac
    $limit "$@" <"$0"
    case $? in
      0) tether_register && return ;;
      3) return ;;
      124 | 137) tether_say "not queued: $spool did not answer in time." && return ;;
    esac
  done
  tether_say "not queued: could not become $user with setpriv, runuser or su."
}

# Makes roots of the links in the spool. Nix forgets those that are broken by itself.
tether_register() {
  auto=${NIX_STATE_DIR:-/nix/var/nix}/gcroots/auto/nix-tether-$uid
  [ -d "$auto" ] || (umask 022 && mkdir -p "$auto")
  set --
  for path in $outputs; do set -- "$@" "$spool/roots/${path##*/}"; done
  ln -sf "$@" "$auto/"
  return 0
}

trap : PIPE
tether_chain=$(tether_queue 3>&2 2>/dev/null)
[ -z "$tether_chain" ] || "$tether_chain" || printf 'nix-tether: the hook %s ended with exit code %s.\n' "$tether_chain" $? >&2
exit 0
