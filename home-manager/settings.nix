# The keys of config.toml that are worth a type, for `services.nix-tether.settings`. Others are taken as they are; the
# program checks them all, and names the one that is wrong.
{ lib, toml }:

let
  inherit (lib) mkOption types;

  optional = import ./optional.nix lib;

  # No Nix path: it would be copied into the store, where everybody can read it.
  file = types.str;
  files = types.either file (types.listOf file);

  table =
    options:
    types.submodule {
      freeformType = toml.type;
      inherit options;
    };

  cache = table {
    type = optional (types.enum [
      "ssh"
      "http"
    ]) "Kind of cache: a machine with sshd and Nix, or a binary cache on a web server.";
    url = optional types.str "Where a binary cache of the type `http` is.";
    via = optional types.str "Name of a cache of type `ssh` whose machine opens the connections to {option}`url`.";
    netrc-file = optional file ''
      Holds the name and password for the host of {option}`url`; by default {file}`~/.netrc`.
    '';
    host = optional types.str ''
      The machine: a `.local` name (asked by mDNS), another name, an address, or an alias in {file}`~/.ssh/config`.
    '';
    user = optional types.str "Login name; by default what {command}`ssh -G` says.";
    port = optional types.port "Port of sshd; by default what the service browse or {command}`ssh -G` says.";
    identity-file = optional files ''
      Private key file(s), unencrypted; by default what {command}`ssh -G` says. An agent is better.
    '';
    identity-agent = optional file "Socket of the ssh-agent.";
    known-hosts = optional files "known_hosts file(s) that must hold the machine's host key.";
    transport = optional (types.enum [
      "auto"
      "socket"
      "stdio"
    ]) "How the machine's nix-daemon is reached: by its socket, or by running {command}`nix-daemon --stdio`.";
    remote-socket = optional file "The nix-daemon's socket on the machine.";
    service = optional types.str "Find the machine by browsing this mDNS service, such as `_nix-tether._tcp`.";
    instance = optional types.str "The instance name to look for with `service`.";
    priority = optional types.ints.unsigned "Nix asks lower numbers first; cache.nixos.org has 40. 30 by default.";
    public-keys = optional (types.listOf types.str) ''
      Keys that the machine's paths are signed with. The NixOS module lists them in
      {option}`nix.settings.trusted-public-keys`.
    '';
    trusted = optional types.bool "Accept the machine's unsigned paths; only for Nix's trusted users.";
  };
in
table {
  gateway = mkOption {
    type = table {
      port = mkOption {
        type = types.port;
        default = 37515;
        description = "Port of the gateway on 127.0.0.1. Another user of this machine needs another.";
      };
    };
    default = { };
    description = "The local binary cache that Nix talks to.";
  };

  caches = mkOption {
    type = types.attrsOf cache;
    default = { };
    description = "The machines, by names of your choice.";
  };

  uploads = mkOption {
    type = table {
      to = mkOption {
        type = types.listOf types.str;
        default = [ ];
        description = "The caches that what is built here is uploaded to, whenever they are in reach.";
      };
      source = optional (types.enum [
        "hook"
        "watch"
      ]) "How it is noticed what is built here: by root's post-build hook, or by watching the store.";
      signing-key = optional file "Secret key file that uploads are signed with.";
    };
    default = { };
    description = "What is sent to the machines.";
  };

  farms = mkOption {
    type = types.attrsOf toml.type;
    default = { };
    description = "Build farms; {option}`services.nix-tether.farms` has these, and their timers.";
  };
}
