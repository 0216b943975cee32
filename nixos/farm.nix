# NixOS module for a machine that builds for others and has no Home Manager: farms as services of the system, with a user of
# their own.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib)
    attrNames
    attrValues
    concatMap
    concatStringsSep
    filter
    mapAttrs
    mapAttrs'
    mkIf
    mkOption
    nameValuePair
    types
    unique
    ;

  cfg = config.services.nix-tether.farm;
  toml = pkgs.formats.toml { };
  farm = import ../home-manager/farm.nix { inherit lib toml; };
  folder = "/var/lib/nix-tether-farm";

  # TOML has no null.
  withoutNulls = lib.filterAttrsRecursive (_: value: value != null);
  configFile = toml.generate "nix-tether-farm.toml" (
    withoutNulls (cfg.settings // { farms = mapAttrs (_: farm.settingsOf) cfg.farms; })
  );

  isName = name: builtins.match "[A-Za-z0-9][A-Za-z0-9_-]{0,31}" name != null;
  badNames = filter (name: !isName name) (attrNames cfg.farms);
  targets = concatMap (name: orNone cfg.farms.${name}.push-to) (attrNames cfg.farms);
  orNone = list: if list == null then [ ] else list;
  unknownTargets = filter (name: !(cfg.settings.static or { }) ? ${name}) targets;

  localCaches = map (cache: cache.path) (
    filter (cache: (cache.host or null) == null) (attrValues (cfg.settings.static or { }))
  );

  allowed = config.nix.settings.allowed-users or [ "*" ];

  require = assertion: message: {
    inherit assertion;
    message = "services.nix-tether.farm${message}";
  };
in
{
  options.services.nix-tether.farm = {
    enable = lib.mkEnableOption "build farms that update a flake, build it and push the results";

    package = mkOption {
      type = types.package;
      default = pkgs.nix-tether or (pkgs.callPackage ../nix/package.nix { });
      defaultText = lib.literalExpression "pkgs.nix-tether";
      description = "The package that holds {command}`nix-tether`.";
    };

    user = mkOption {
      type = types.str;
      default = "nix-tether-farm";
      description = ''
        Who runs them. Its home is {file}`/var/lib/nix-tether-farm`, with its ssh key and git's configuration.
      '';
    };

    settings = mkOption {
      type = toml.type;
      default = { };
      example = lib.literalExpression ''
        {
          static.disk = {
            host = "raspberrypi.local";
            path = "/srv/nix-cache";
            signing-key = "/var/lib/nix-tether-farm/farm-1.key";
          };
        }
      '';
      description = "The rest of the configuration: the caches that are pushed to. {manpage}`nix-tether(1)` has every key.";
    };

    farms = mkOption {
      type = types.attrsOf farm.type;
      default = { };
      example = lib.literalExpression ''
        {
          home = {
            repository = "git@git.example.org:me/nixos-config.git";
            attributes = [ "nixosConfigurations.laptop.config.system.build.toplevel" ];
            push-to = [ "disk" ];
            startAt = "03:30";
          };
        }
      '';
      description = "The farms, by names of your choice. Each has a timer.";
    };
  };

  config = mkIf cfg.enable {
    assertions = [
      (require (badNames == [ ]) ".farms: ${concatStringsSep ", " badNames} can not be the name of a farm: it takes 1 to 32 letters, digits, \"-\" and \"_\".")
      (require (unknownTargets == [ ]) ".farms: push-to names ${concatStringsSep ", " unknownTargets}, which is none of settings.static.")
      (require (lib.any (name: name == "*" || name == cfg.user || lib.hasPrefix "@" name) allowed) ": ${cfg.user} must be in nix.settings.allowed-users to reach the nix-daemon.")
    ];

    users.users.${cfg.user} = {
      description = "Build farms of nix-tether";
      isSystemUser = true;
      group = cfg.user;
      home = folder;
    };
    users.groups.${cfg.user} = { };

    systemd.services = mapAttrs' (
      name: one:
      nameValuePair "nix-tether-farm-${name}" {
        description = "nix-tether: the farm ${name}";
        wants = [ "network-online.target" ];
        after = [ "network-online.target" ];
        path = [
          config.nix.package
          pkgs.git
          pkgs.openssh
          pkgs.util-linux
        ];
        environment.XDG_STATE_HOME = folder;
        restartIfChanged = false;
        unitConfig = farm.unit;
        serviceConfig = import ./hardening.nix // farm.service // {
          ExecStart = "${lib.getExe cfg.package} farm run --config ${configFile} ${name}";
          User = cfg.user;
          StateDirectory = baseNameOf folder;
          StateDirectoryMode = "0700";
          CapabilityBoundingSet = "";
          # Folders of this machine that it pushes to; who owns them is up to you.
          ReadWritePaths = map (folder: "-${folder}") (unique (localCaches ++ filter (lib.hasPrefix "/") [ one.repository ]));
          ProtectHome = true;
          ProtectProc = "invisible";
        };
      }
    ) cfg.farms;

    systemd.timers = mapAttrs' (
      name: one:
      nameValuePair "nix-tether-farm-${name}" {
        description = "nix-tether: the farm ${name}, every night";
        wantedBy = [ "timers.target" ];
        timerConfig = farm.timer one.startAt;
      }
    ) (lib.filterAttrs (_: one: one.startAt != null) cfg.farms);
  };
}
