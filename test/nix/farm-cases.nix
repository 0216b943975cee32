# The NixOS module for farms in use.
{
  evalOs,
  readToml,
  package,
  failed,
  pick,
  lib,
  ...
}:

let
  evaluate =
    settings: more:
    evalOs [
      ../../nixos/farm.nix
      {
        services.nix-tether.farm = {
          enable = true;
          inherit package;
        }
        // settings;
      }
      more
    ];

  least = {
    repository = "/srv/conf.git";
    attributes = [ "packages.x86_64-linux.hello" ];
  };

  two = evaluate {
    settings.static = {
      disk.path = "/srv/nix-cache";
      far.host = "raspberrypi.local";
      far.path = "/srv/far";
    };
    farms.home = least // {
      push-to = [ "disk" ];
      startAt = [
        "03:30"
        "15:30"
      ];
    };
    farms.by-hand = least // {
      startAt = null;
    };
  } { };

  names = [
    "nix-tether-farm-by-hand"
    "nix-tether-farm-home"
  ];
  services = pick names two.systemd.services;
  commands = lib.mapAttrs (_: service: service.serviceConfig.ExecStart) services;
in
{
  failed = failed two;
  services = lib.mapAttrs (
    _: service:
    pick [ "after" "restartIfChanged" "wants" ] service
    // {
      inherit (service.environment) XDG_STATE_HOME;
      serviceConfig = removeAttrs service.serviceConfig [ "ExecStart" ];
      limits = pick [ "StartLimitBurst" "StartLimitIntervalSec" ] service.unitConfig;
      programs = lib.any (one: one == two.nix.package) service.path;
    }
  ) (pick [ "nix-tether-farm-home" ] services);
  timers = lib.mapAttrs (_: pick [ "timerConfig" "wantedBy" ]) (pick names two.systemd.timers);
  user = pick [ "group" "home" "isSystemUser" ] two.users.users.nix-tether-farm;
  # What is run, and with which configuration.
  runs = lib.mapAttrs (
    _: command: builtins.match "(.*) farm run --config (.*) ([a-z-]+)" command != null
  ) commands;
  settings = readToml (
    builtins.elemAt (builtins.match ".* --config (.*) ([a-z-]+)" commands.nix-tether-farm-home) 0
  );
  refused = {
    name = failed (evaluate { farms."a b" = least; } { });
    target = failed (evaluate { farms.a = least // { push-to = [ "disk" ]; }; } { });
    user = failed (evaluate { farms.a = least; } { nix.settings.allowed-users = [ "pi" ]; });
  };
}
