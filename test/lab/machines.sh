# Sourced by lab.sh: what the two machines have in common. Each is a real systemd in systemd-nspawn, its root an overlay
# on this machine's own root that lives in memory, its network a namespace of its own on a virtual switch.
# Expects: $number (of the lab, or empty), $state (folder), $repo (this repository), $nix_dir (folder of a newer Nix, or
# empty), $node (the program).

hosts="laptop pi"
name_of() { echo "nix-tether$number-$1"; } # HOST, "switch" or "stranger": its network, its machine, its control group
path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

enter() { # HOST COMMAND...: runs it as root inside the machine
  local leader
  leader=$(cat "$state/$1/leader")
  shift
  nsenter -t "$leader" -m -u -i -n -p -C -r -w \
    env -i PATH=$path HOME=/root USER=root TERM=dumb LANG=C.UTF-8 NIX_REMOTE=daemon "$@"
}

enter_user() { # HOST USER COMMAND...: runs it as that user, with the environment of the user's manager
  local host=$1 user=$2 uid
  shift 2
  uid=$(enter "$host" id -u "$user")
  enter "$host" setpriv --reuid "$uid" --regid "$uid" --init-groups \
    env -C "/home/$user" HOME="/home/$user" USER="$user" XDG_RUNTIME_DIR="/run/user/$uid" \
    DBUS_SESSION_BUS_ADDRESS="unix:path=/run/user/$uid/bus" SSH_AUTH_SOCK="/run/user/$uid/ssh-agent.socket" "$@"
}

enable_unit() { # ROOT TARGET UNIT
  mkdir -p "$1/etc/systemd/system/$2.wants"
  ln -s "/lib/systemd/system/$3" "$1/etc/systemd/system/$2.wants/$3"
}

prepare() { # HOST: mounts its root and writes what both machines share
  local host=$1 dir=$state/$1 root=$state/$1/root hidden
  mkdir -p "$dir"
  mount -t tmpfs -o mode=755,size=6g "tether-$host" "$dir"
  mkdir -p "$dir"/{upper,work,root}
  # Folders of the host that the machines must not inherit: a whiteout in the upper layer hides each of them.
  for hidden in nix home root run tmp etc/systemd/system etc/systemd/user etc/NetworkManager etc/avahi/services \
    etc/nix etc/ssh/sshd_config.d var/log/journal var/lib/NetworkManager var/lib/systemd/linger; do
    mkdir -p "$dir/upper/$(dirname "$hidden")"
    mknod "$dir/upper/$hidden" c 0 0
  done
  mount -t overlay -o "lowerdir=$state/lower,upperdir=$dir/upper,workdir=$dir/work" "tether-$host" "$root"

  mkdir -p "$root"/{nix,home,root,run,etc/systemd/{system,user},etc/avahi/services,etc/nix,etc/ssh/sshd_config.d}
  mkdir -p "$root"/{etc/NetworkManager/{conf.d,system-connections},var/{lib/NetworkManager,log/journal}}
  mkdir -p "$root/var/lib/systemd/linger" "$root/etc/systemd/journald.conf.d"
  install -d -m 1777 "$root/tmp"
  echo "$host" >"$root/etc/hostname"
  printf '127.0.0.1 localhost %s\n::1 localhost\n' "$host" >"$root/etc/hosts"
  : >"$root/etc/machine-id" # systemd makes a new one
  rm -f "$root/etc/resolv.conf"
  : >"$root/etc/resolv.conf" # no DNS: nothing in the lab may hang on it
  # In memory already, and only a persistent journal lets a user read their own part.
  printf '[Journal]\nStorage=persistent\n' >"$root/etc/systemd/journald.conf.d/lab.conf"
  ln -s /dev/null "$root/etc/systemd/system/getty.target"
  ln -s /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
  enable_unit "$root" multi-user.target avahi-daemon.service
  enable_unit "$root" sockets.target avahi-daemon.socket
  ln -s /lib/systemd/system/avahi-daemon.service "$root/etc/systemd/system/dbus-org.freedesktop.Avahi.service"
  prepare_nix "$root"
  install -d "$root/opt/nix-tether"
  : >"$root/opt/node"
  printf '#!/bin/sh\nexec /opt/node /opt/nix-tether/dist/main.js "$@"\n' >"$root/usr/local/bin/nix-tether"
  chmod 755 "$root/usr/local/bin/nix-tether"
}

prepare_nix() { # ROOT: an empty store, and the newer Nix before the system's in every PATH
  local root=$1 program
  mkdir -p "$root"/nix/var/nix/{gcroots,profiles}/per-user
  chmod 1777 "$root"/nix/var/nix/{gcroots,profiles}/per-user
  install -d -m 1775 -g nixbld "$root/nix/store"
  enable_unit "$root" sockets.target nix-daemon.socket
  [ -n "$nix_dir" ] || return 0
  for program in "$nix_dir"/bin/*; do ln -s "$program" "$root/usr/local/bin/"; done
  mkdir -p "$root/etc/systemd/system/nix-daemon.service.d"
  printf '[Service]\nExecStart=\nExecStart=%s/bin/nix-daemon --daemon\n' "$nix_dir" \
    >"$root/etc/systemd/system/nix-daemon.service.d/lab.conf"
}

add_user() { # ROOT NAME UID: a login user who may use the nix-daemon and whose manager starts at boot
  chroot "$1" useradd -m -s /bin/bash -u "$3" -U -G nix-users "$2"
  touch "$1/var/lib/systemd/linger/$2"
}

# Two switches, br-home and br-cafe; the machines are plugged in at home, a network namespace "stranger" in the café.
network_up() {
  local host place switch
  switch=$(name_of switch)
  ip netns add "$switch"
  for place in home cafe; do
    ip -n "$switch" link add "br-$place" type bridge mcast_snooping 0
    ip -n "$switch" link set "br-$place" up
  done
  for host in $hosts stranger; do
    ip netns add "$(name_of "$host")"
    ip -n "$(name_of "$host")" link set lo up
    ip -n "$switch" link add "to-$host" type veth peer name eth0 netns "$(name_of "$host")"
    ip -n "$switch" link set "to-$host" master br-home up
  done
  ip -n "$switch" link set to-stranger master br-cafe
  ip -n "$(name_of stranger)" address add 10.88.0.1/24 dev eth0
  ip -n "$(name_of stranger)" link set eth0 up
}

cable() { # HOST up|down|home|cafe: both places mean that the cable is plugged in there
  local switch cable=to-$1
  switch=$(name_of switch)
  case ${2:-} in
    up | down) ip -n "$switch" link set "$cable" "$2" ;;
    home | cafe)
      ip -n "$switch" link set "$cable" down
      ip -n "$switch" link set "$cable" master "br-$2" up
      ;;
    *) die "a cable is up, down, home or cafe" ;;
  esac
}

# Where systemd keeps its groups of processes: the unified hierarchy, and the named one of older set-ups. Each machine
# gets a group of its own, for two systemds in one would kill each other's services.
cgroup_roots() { findmnt -rn -t cgroup2,cgroup -o TARGET,FSTYPE,OPTIONS | awk '$2 == "cgroup2" || /name=systemd/ { print $1 }'; }

boot() { # HOST
  local host=$1 binds=("--bind-ro=$repo:/opt/nix-tether" "--bind-ro=$node:/opt/node")
  # Lies outside of both: what is put there goes past the network.
  binds+=("--bind=$state/shared:/srv/shared")
  [ -z "$nix_dir" ] || binds+=("--bind-ro=$nix_dir")
  # The machine is shut down when this shell dies of whatever; the lock's descriptor stays with the shell alone.
  (
    for hierarchy in $(cgroup_roots); do
      mkdir -p "$hierarchy/$(name_of "$host")"
      echo $BASHPID >"$hierarchy/$(name_of "$host")/cgroup.procs"
    done
    SYSTEMD_NSPAWN_API_VFS_WRITABLE=network exec setpriv --pdeathsig TERM setsid systemd-nspawn --quiet --boot \
      --directory="$state/$host/root" --machine="$(name_of "$host")" --hostname="$host" --register=no --keep-unit \
      --network-namespace-path="/run/netns/$(name_of "$host")" --capability=CAP_NET_ADMIN --private-users=no \
      --link-journal=no --console=pipe --resolv-conf=off --timezone=off "${binds[@]}"
  ) </dev/null >"$state/$host/console.log" 2>&1 9>&- &
  echo $! >"$state/$host/nspawn.pid"
}

wait_booted() { # HOST
  local host=$1 leader status="" i
  for i in $(seq 600); do
    kill -0 "$(cat "$state/$host/nspawn.pid")" 2>/dev/null || break
    leader=$(pgrep -P "$(cat "$state/$host/nspawn.pid")" | head -n 1 || true)
    if [ -n "$leader" ]; then
      echo "$leader" >"$state/$host/leader"
      status=$(enter "$host" systemctl is-system-running 2>/dev/null || true)
      case $status in running | degraded) return 0 ;; esac
    fi
    sleep 0.05
  done
  tail -n 20 "$state/$host/console.log" >&2
  echo "lab: $host did not come up (${status:-no systemd})" >&2
  return 1
}
