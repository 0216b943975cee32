# A folder of NARs served by nginx, as `nix-tether push` or `nix copy --to file:///var/lib/nix-cache` fills it, and the
# collection of what is old in it. It is read without any login, so it holds nothing but what everybody may have.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkIf mkOption types;

  cfg = config.services.nix-tether.pi.staticCache;
  collects = cfg.keepDays != null || cfg.maxSize != null;

  # TOML has no null.
  configFile = (pkgs.formats.toml { }).generate "nix-tether-static-cache.toml" {
    static.cache = lib.filterAttrs (_: value: value != null) {
      inherit (cfg) path keep;
      older-than = if cfg.keepDays == null then null else "${toString cfg.keepDays}d";
      max-size = cfg.maxSize;
    };
  };
in
{
  options.services.nix-tether.pi.staticCache = {
    enable = lib.mkEnableOption "a static binary cache, served by nginx";

    path = mkOption {
      type = types.strMatching "(/[A-Za-z0-9._-]+)+";
      default = "/var/lib/nix-cache";
      description = "The folder. Give it a disk of its own where it is to become large.";
    };

    port = mkOption {
      type = types.port;
      default = 80;
      description = "The port that nginx listens on.";
    };

    openFirewall = mkOption {
      type = types.bool;
      default = true;
      description = "Whether to open that port in the firewall.";
    };

    user = mkOption {
      type = types.str;
      default = "root";
      description = "Whose the folder is: the login that {command}`nix-tether push` uses.";
    };

    keepDays = mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      example = 14;
      description = ''
        Remove every day what was pushed so many days ago, not since, and is needed by nothing younger; null keeps everything.
      '';
    };

    maxSize = mkOption {
      type = types.nullOr (types.strMatching "[0-9]+[KMGT]?");
      default = null;
      example = "500G";
      description = "Remove every day what is oldest until no more than this is left; null for any size.";
    };

    keep = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "nixos-system-*" ];
      description = "What is never removed, with all that it needs: store paths, or patterns for their names.";
    };

    package = mkOption {
      type = types.package;
      default = pkgs.nix-tether or (pkgs.callPackage ../nix/package.nix { });
      defaultText = lib.literalExpression "pkgs.nix-tether";
      description = "The package that collects.";
    };
  };

  config = mkIf cfg.enable {
    services.nginx = {
      enable = true;
      virtualHosts.nix-tether = {
        default = true;
        listen =
          map
            (addr: {
              inherit addr;
              inherit (cfg) port;
            })
            [
              "0.0.0.0"
              "[::]"
            ];
        locations."/".root = cfg.path;
      };
    };

    networking.firewall.allowedTCPPorts = mkIf cfg.openFirewall [ cfg.port ];

    systemd.tmpfiles.rules = [ "d ${cfg.path} 0755 ${cfg.user} root -" ];

    systemd.services.nix-tether-cache-gc = mkIf collects {
      description = "Collection of what is old in the static Nix cache";
      # Until something is pushed, there is no cache.
      unitConfig.ConditionPathExists = "${cfg.path}/nix-cache-info";
      serviceConfig = import ./hardening.nix // {
        Type = "oneshot";
        User = cfg.user;
        ExecStart = "${cfg.package}/bin/nix-tether gc cache --config ${configFile}";
        Nice = 19;
        IOSchedulingClass = "idle";
        PrivateNetwork = true;
        ProtectHome = "read-only";
        ReadWritePaths = [ cfg.path ];
        RestrictAddressFamilies = "AF_UNIX AF_NETLINK";
        RestrictSUIDSGID = true;
        # @pkey: V8 asks for memory protection keys.
        SystemCallFilter = "@system-service @pkey";
        SystemCallErrorNumber = "EPERM";
      };
    };

    systemd.timers.nix-tether-cache-gc = mkIf collects {
      wantedBy = [ "timers.target" ];
      timerConfig = {
        OnCalendar = "daily";
        # One that was switched off at midnight collects later.
        Persistent = true;
        RandomizedDelaySec = "1h";
      };
    };
  };
}
