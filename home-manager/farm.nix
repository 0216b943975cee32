# One farm in the modules: the keys of `[farms.NAME]` that are worth a type, and when it runs. Others are taken as they are; the
# program checks them all, and names the one that is wrong.
{ lib, toml }:

let
  inherit (lib) mkOption types;

  optional = import ./optional.nix lib;
  strings = types.listOf types.str;
in
{
  type = types.submodule {
    freeformType = toml.type;
    options = {
      startAt = mkOption {
        type = types.nullOr (types.either types.str strings);
        default = "04:00";
        example = "Mon..Fri 05:30";
        description = ''
          When it runs, as {manpage}`systemd.time(7)` writes it, and up to a quarter of an hour later; null for only by hand.
        '';
      };
      repository = mkOption {
        type = types.str;
        description = "The git repository with the flake: a URL that git knows, or an absolute path.";
      };
      attributes = mkOption {
        type = strings;
        example = [ "nixosConfigurations.laptop.config.system.build.toplevel" ];
        description = "The flake's outputs to build.";
      };
      branch = optional types.str "By default the repository's own.";
      directory = optional types.str "Where {file}`flake.nix` is, when not at the top.";
      update = optional types.bool "Whether to run {command}`nix flake update` first. True by default.";
      update-inputs = optional strings "Update only these inputs of the flake.";
      commit-lock = optional types.bool "Whether a changed {file}`flake.lock` is committed. True by default.";
      author = optional types.str "Who commits.";
      git-push = optional (types.enum [
        "never"
        "on-success"
        "always"
      ]) "When that commit is pushed. By default when everything was built and pushed to the caches.";
      push-to = optional strings "Where what was built is pushed: names of static caches, or of caches that uploads go to.";
      # No Nix path: it would be copied into the store, where everybody can read it.
      signing-key = optional types.str "Secret key file to sign with in the local store.";
      keep = optional types.ints.positive "How many good builds of each attribute are kept. 2 by default.";
      build-timeout = optional types.str "How long one attribute may take. 6h by default.";
      timeout = optional types.str "How long the run may take up to the end of its builds. 12h by default.";
      nix-options = optional (types.attrsOf types.raw) "Settings of Nix, by their names in {file}`nix.conf`.";
    };
  };

  # What belongs into config.toml.
  settingsOf = farm: lib.filterAttrs (_: value: value != null) (removeAttrs farm [ "startAt" ]);

  # Of the units that run one; systemd/nix-tether-farm@.service says what each line is for.
  unit = {
    StartLimitIntervalSec = "3h";
    StartLimitBurst = 5;
  };
  service = {
    Type = "oneshot";
    Restart = "on-failure";
    RestartPreventExitStatus = "2 5 6 7 127 130 143";
    SuccessExitStatus = 143;
    RestartSec = "10min";
    KillMode = "mixed";
    TimeoutStopSec = "30s";
    Nice = 10;
    UMask = "0022";
    LimitCORE = 0;
    NoNewPrivileges = true;
    LockPersonality = true;
    RestrictRealtime = true;
    RestrictNamespaces = true;
    RestrictAddressFamilies = "AF_UNIX AF_INET AF_INET6 AF_NETLINK";
    SystemCallArchitectures = "native";
    SystemCallFilter = "@system-service @pkey";
    SystemCallErrorNumber = "EPERM";
  };

  timer = startAt: {
    OnCalendar = startAt;
    RandomizedDelaySec = "15min";
    Persistent = true;
  };
}
