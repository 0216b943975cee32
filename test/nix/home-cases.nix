# Home Manager's module in use.
{
  lib,
  pkgs,
  evalHome,
  readToml,
  package,
  failed,
  pick,
  ...
}:

let
  pi.host = "pi.local";

  evaluate =
    settings: more:
    evalHome (
      more
      // {
        modules = [
          ../../home-manager
          {
            services.nix-tether = {
              enable = true;
              inherit package;
            }
            // settings;
          }
        ]
        ++ more.modules or [ ];
      }
    );

  show = config: {
    settings = readToml config.xdg.configFile."nix-tether/config.toml".source;
    nixConf = config.xdg.configFile."nix/nix.conf".text or null;
    inherit (config.nix) extraOptions;
    failed = failed config;
  };

  refused = settings: more: failed (evaluate settings more);

  basic = evaluate { caches.pi = pi; } { };
  full = evaluate {
    caches.pi = pi // {
      user = "pi";
      identity-file = [
        "~/.ssh/pi"
        "/etc/pi"
      ];
    };
    settings.caches.pi.priority = 20;
    settings.caches.nas = {
      host = "nas.local";
      public-keys = [ "nas-1:AAAA" ];
    };
    settings.caches.files = {
      type = "http";
      url = "http://files.local/cache";
      via = "pi";
      netrc-file = "~/netrc";
    };
    uploads.to = [ "pi" ];
    settings.gateway = {
      port = 4000;
      resume-wait = 5;
    };
  } { };

  # A unit's lines as they come to stand in its file.
  plain = builtins.mapAttrs (
    _: section:
    builtins.mapAttrs (_: value: if builtins.isList value then toString value else value) (
      lib.filterAttrs (
        key: value: key != "X-Restart-Triggers" && value != null && value != [ ]
      ) section
    )
  );
  triggers = config: config.systemd.user.services.nix-tether.Unit.X-Restart-Triggers;

  # A machine that has farms only.
  farm = evaluate {
    settings.static.disk.path = "/srv/nix-cache";
    farms.home = {
      repository = "/srv/conf.git";
      attributes = [ "packages.x86_64-linux.hello" ];
      push-to = [ "disk" ];
    };
    farms.by-hand = {
      repository = "git@git.example.org:tools";
      attributes = [ "packages.x86_64-linux.default" ];
      git-push = "never";
      nix-options.max-jobs = 1;
      startAt = null;
    };
  } { };

  neighbour = {
    enable = true;
    settings.gateway.port = 37515;
  };
in
{
  basic = show basic;
  full = show full;
  units = builtins.mapAttrs (_: builtins.mapAttrs (_: plain)) {
    services = pick [ "nix-tether" "nix-tether-away@" ] basic.systemd.user.services;
    sockets = pick [ "nix-tether" "nix-tether-away" ] basic.systemd.user.sockets;
  };
  farm = show farm // {
    timers = builtins.attrNames farm.systemd.user.timers;
    services = builtins.attrNames farm.systemd.user.services;
    units = builtins.mapAttrs (_: builtins.mapAttrs (_: plain)) {
      inherit (farm.systemd.user) services timers;
    };
  };
  typedKeys = builtins.mapAttrs (_: builtins.attrNames) {
    inherit (basic.services.nix-tether.settings) gateway uploads;
    "caches.NAME" = basic.services.nix-tether.settings.caches.pi;
    "farms.NAME" = builtins.removeAttrs farm.services.nix-tether.farms.home [
      "nix-options"
      "startAt"
    ];
  };
  restartsForSettings = triggers basic != triggers full;
  portOfSockets = map (socket: socket.Socket.ListenStream) (
    builtins.attrValues (pick [ "nix-tether" "nix-tether-away" ] full.systemd.user.sockets)
  );

  # Whoever else has something for the end of nix.conf, ours comes after it.
  ownNix = show (
    evaluate { caches.pi = pi; } {
      modules = [
        {
          nix.package = pkgs.nix;
          nix.extraOptions = lib.mkOrder 1500 "substituters = x\n";
        }
      ];
    }
  );
  ownFile = show (
    evaluate { caches.pi = pi; } {
      modules = [ { xdg.configFile."nix/nix.conf".text = lib.mkOrder 1500 "substituters = x\n"; } ];
    }
  );
  byHand = show (evaluate {
    caches.pi = pi;
    includeOverride = false;
  } { });

  refused = {
    nothing = refused { } { };
    mac = refused { caches.pi = pi; } { linux = false; };
    name = refused {
      caches.control = pi;
      caches."a b" = pi;
    } { };
    host = refused { caches.pi.user = "pi"; } { };
    url = refused { caches.files.type = "http"; } { };
    target = refused {
      caches.pi = pi;
      uploads.to = [
        "pi"
        "nas"
      ];
    } { };
    relative = refused {
      caches.pi = pi // {
        identity-file = "id";
        known-hosts = [
          "~/known"
          "known"
        ];
      };
      uploads.signing-key = "key";
    } { };
    port = refused { caches.pi = pi; } {
      osConfig.home-manager.users = {
        ada.services.nix-tether = neighbour;
        bob.services.nix-tether = neighbour;
        carol.services.nix-tether = neighbour // {
          enable = false;
        };
        dave = { };
      };
    };
  };
}
