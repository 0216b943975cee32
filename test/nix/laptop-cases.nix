# The NixOS module for the laptop in use.
{
  lib,
  evalOs,
  package,
  failed,
  pick,
  ...
}:

let
  evaluate =
    settings: modules:
    evalOs (
      [
        ../../nixos/laptop.nix
        {
          services.nix-tether = {
            enable = true;
            inherit package;
          }
          // settings;
          users.users =
            lib.genAttrs
              [
                "ada"
                "bob"
              ]
              (name: {
                isNormalUser = true;
                home = "/home/${name}";
              });
        }
      ]
      ++ modules
    );

  show = config: {
    settings = pick [
      "post-build-hook"
      "trusted-public-keys"
      "trusted-substituters"
    ] config.nix.settings;
    etc = builtins.mapAttrs (_: file: file.text) (
      pick [
        "nix-tether/hook.conf"
        "nix-tether/root.conf"
        "xdg/nix/nix.conf"
      ] config.environment.etc
    );
    linger = builtins.mapAttrs (_: user: user.linger or false == true) (
      pick [
        "ada"
        "bob"
      ] config.users.users
    );
    failed = failed config;
  };

  caches.pi.public-keys = [ "pi-1:AAAA" ];

  basic = evaluate { users.ada = { inherit caches; }; } [ ];
  full = evaluate {
    users.ada = {
      caches = caches // {
        nas.priority = 50;
        mine.trusted = true;
      };
      root = true;
      uploads = true;
    };
    users.bob = {
      inherit caches;
      port = 37516;
      uploads = true;
      linger = true;
    };
    hook.chain = "/etc/nix/other-hook";
  } [ ];

  # As Home Manager has it in its part of NixOS.
  atHome.home-manager.users.ada = {
    xdg.configHome = "/home/ada/.cfg";
    services.nix-tether = {
      enable = true;
      settings = {
        gateway.port = 4000;
        uploads = {
          to = [ "pi" ];
          source = null;
        };
        caches.pi = {
          priority = 20;
          trusted = null;
          public-keys = [ "pi-1:AAAA" ];
        };
      };
    };
  };

  inherit (full) systemd;
in
{
  basic = show basic;
  full = show full;
  fromHome = show (evaluate { users.ada.root = true; } [ atHome ]);
  units = {
    path = pick [ "description" "pathConfig" "wantedBy" "wants" ] systemd.paths."nix-tether-root@ada";
    timer = pick [ "description" "partOf" "timerConfig" ] systemd.timers."nix-tether-root@ada";
    service = pick [ "description" "serviceConfig" ] systemd.services."nix-tether-root@";
    startLimit = systemd.services."nix-tether-root@".unitConfig.StartLimitIntervalSec;
    nixDaemon = pick [ "NIX_USER_CONF_FILES" ] systemd.services.nix-daemon.environment;
  };
  refused = {
    nothing = failed (evaluate { users.ada = { }; } [ ]);
    port = failed (
      evaluate {
        users.ada = { inherit caches; };
        users.bob = { inherit caches; };
      } [ ]
    );
    chain = failed (
      evaluate {
        users.ada = { inherit caches; };
        hook.chain = "/etc/nix/other-hook";
      } [ ]
    );
  };
}
