# Sourced by lab.sh: what makes one machine the Pi and the other the laptop. Runs before they boot, on their mounted roots.

write() { # FILE [MODE], content from stdin
  mkdir -p "$(dirname "$1")"
  cat >"$1"
  chmod "${2:-644}" "$1"
}

make_keys() { # Every key of the lab, new each time: $state/keys/*
  local keys=$state/keys name
  mkdir -p "$keys"
  for name in user pi-host; do ssh-keygen -q -t ed25519 -N '' -C "$name" -f "$keys/$name"; done
  for name in pi laptop; do
    HOME=$keys nix --extra-experimental-features nix-command key generate-secret --key-name "$name-1" >"$keys/$name.secret"
    HOME=$keys nix --extra-experimental-features nix-command key convert-secret-to-public \
      <"$keys/$name.secret" >"$keys/$name.public"
  done
}

configure_pi() {
  local root=$state/pi/root keys=$state/keys
  add_user "$root" pi 1600
  write "$root/home/pi/.ssh/authorized_keys" 600 <"$keys/user.pub"
  chroot "$root" chown -R pi:pi /home/pi
  chmod 700 "$root/home/pi/.ssh"
  rm -f "$root"/etc/ssh/ssh_host_*
  write "$root/etc/ssh/ssh_host_ed25519_key" 600 <"$keys/pi-host"
  write "$root/etc/ssh/ssh_host_ed25519_key.pub" <"$keys/pi-host.pub"
  enable_unit "$root" multi-user.target ssh.service

  write "$root/etc/nix/pi.secret" 600 <"$keys/pi.secret"
  write "$root/etc/nix/nix.conf" <<-CONF
	sandbox = false
	substituters =
	max-jobs = 2
	secret-key-files = /etc/nix/pi.secret
	trusted-public-keys = $(cat "$keys/laptop.public")
	experimental-features = nix-command
	CONF

  enable_unit "$root" multi-user.target systemd-networkd.service
  write "$root/etc/systemd/network/10-eth0.network" <<-CONF
	[Match]
	Name=eth0
	[Network]
	Address=10.77.0.1/24
	LinkLocalAddressing=ipv6
	IPv6AcceptRA=no
	CONF
  write "$root/etc/avahi/services/ssh.service" <<-XML
	<?xml version="1.0" standalone='no'?>
	<!DOCTYPE service-group SYSTEM "avahi-service.dtd">
	<service-group><name replace-wildcards="yes">%h</name>
	<service><type>_ssh._tcp</type><port>22</port></service></service-group>
	XML
}

substituter_urls() { # every URL that the gateway may list, as the administrator would name them once
  local cache generation
  for cache in pi nas; do
    for generation in "" /{0..15}; do
      printf 'http://127.0.0.1:37515/%s%s http://127.0.0.1:37515/%s%s?priority=30 ' $cache "$generation" $cache "$generation"
    done
  done
}

configure_laptop() {
  local root=$state/laptop/root keys=$state/keys home=$state/laptop/root/home/dev
  add_user "$root" dev 1500
  # Not one of ssh's usual names: only the agent can offer it.
  write "$home/.ssh/lab" 600 <"$keys/user"
  write "$home/.ssh/lab.pub" <"$keys/user.pub"
  for name in pi.local nas.local; do echo "$name $(cut -d' ' -f1,2 "$keys/pi-host.pub")"; done | write "$home/.ssh/known_hosts" 600
  HOME=$home ssh-keygen -q -H -f "$home/.ssh/known_hosts" >/dev/null 2>&1
  rm -f "$home/.ssh/known_hosts.old"
  chmod 700 "$home/.ssh"
  write "$root/etc/systemd/user/ssh-agent.service" <<-UNIT
	[Unit]
	Description=OpenSSH agent holding the lab's key
	[Service]
	ExecStart=/usr/bin/ssh-agent -D -a %t/ssh-agent.socket
	ExecStartPost=/bin/sh -c 'until [ -S %t/ssh-agent.socket ]; do sleep 0.02; done; systemctl --user set-environment SSH_AUTH_SOCK=%t/ssh-agent.socket; SSH_AUTH_SOCK=%t/ssh-agent.socket ssh-add -q %h/.ssh/lab'
	[Install]
	WantedBy=default.target
	UNIT
  mkdir -p "$root/etc/systemd/user/default.target.wants"
  ln -s ../ssh-agent.service "$root/etc/systemd/user/default.target.wants/"
  write "$home/.config/nix/nix.conf" <<<"!include nix-tether.conf"
  chroot "$root" chown -R dev:dev /home/dev

  write "$root/etc/nix/laptop.secret" 600 <"$keys/laptop.secret"
  write "$root/etc/nix/nix.conf" <<-CONF
	sandbox = false
	substituters =
	max-jobs = 2
	trusted-substituters = $(substituter_urls)
	trusted-public-keys = $(cat "$keys/pi.public")
	secret-key-files = /etc/nix/laptop.secret
	experimental-features = nix-command
	CONF

  enable_unit "$root" multi-user.target NetworkManager.service
  write "$root/etc/NetworkManager/conf.d/lab.conf" <<-CONF
	[main]
	plugins=keyfile
	auth-polkit=false
	[device-lab]
	match-device=interface-name:eth0
	managed=1
	[connectivity]
	enabled=false
	CONF
  write "$root/etc/NetworkManager/system-connections/lab.nmconnection" 600 <<-CONF
	[connection]
	id=lab
	type=ethernet
	interface-name=eth0
	uuid=11111111-1111-4111-8111-111111111111
	[ipv4]
	method=manual
	address1=10.77.0.2/24
	[ipv6]
	method=link-local
	CONF
  configure_sleep "$root"
}

# Lets the real logind offer to suspend where the kernel cannot: it sees a made-up /sys/power, and the sleep itself is a
# `sleep 2`. PrepareForSleep and the inhibitors are then logind's own.
configure_sleep() { # ROOT
  local power=/var/lib/lab-power root=$1
  write "$root$power/state" <<<"freeze mem"
  write "$root$power/mem_sleep" <<<"s2idle [deep]"
  write "$root/etc/systemd/system/systemd-logind.service.d/lab.conf" <<-CONF
	[Service]
	ProtectKernelTunables=no
	ProtectControlGroups=no
	TemporaryFileSystem=/sys
	BindPaths=/sys/fs/cgroup $power:/sys/power
	CONF
  write "$root/etc/systemd/system/systemd-suspend.service.d/lab.conf" <<-CONF
	[Service]
	ExecStart=
	ExecStart=/bin/sleep 2
	CONF
}
