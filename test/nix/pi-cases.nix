# The NixOS module for the Pi in use.
{
  evalOs,
  failed,
  package,
  pick,
  readToml,
  ...
}:

let
  evaluate =
    settings: more:
    evalOs [
      ../../nixos/pi.nix
      { services.nix-tether.pi = settings // { enable = true; }; }
      { services.nix-tether.pi.staticCache.package = package; }
      more
    ];

  services =
    config:
    builtins.mapAttrs
      (_: unit: {
        script = unit.script or "";
        serviceConfig = removeAttrs unit.serviceConfig [ "ExecStart" ];
        environment = pick [ "NIX_REMOTE" ] (unit.environment or { });
        conditions = unit.unitConfig.ConditionPathExists or null;
        inherit (unit) after wantedBy;
      })
      (
        builtins.mapAttrs (_: unit: { after = [ ]; wantedBy = [ ]; } // unit) (
          pick [
            "nix-tether-announce"
            "nix-tether-cache-gc"
            "nix-tether-key"
            "nix-tether-sign"
          ] config.systemd.services
        )
      );

  show = config: {
    services = services config;
    nixDaemon = pick [ "after" "wants" ] config.systemd.services.nix-daemon;
    sshd = builtins.head (
      builtins.match ".*(Match User nix-tether.*)" config.services.openssh.extraConfig
    );
    user = pick [ "group" "isSystemUser" "shell" ] config.users.users.nix-tether;
    inherit (config.users.users.nix-tether.openssh.authorizedKeys) keys;
    settings = pick [ "secret-key-files" "trusted-public-keys" ] config.nix.settings;
    failed = failed config;
  };

  basic = evaluate { } { };
  full = evaluate {
    authorizedKeys = [ "ssh-ed25519 AAAA ada@laptop" ];
    uploadKeys = [ "laptop-1:AAAA" ];
    keyName = "shelf-2";
    staticCache = {
      enable = true;
      user = "ada";
      keepDays = 14;
      maxSize = "500G";
      keep = [ "nixos-system-*" ];
    };
  } { networking.hostName = "shelf"; };
in
{
  basic = show basic;
  full = show full // {
    hasFolder = builtins.elem "d /var/lib/nix-cache 0755 ada root -" full.systemd.tmpfiles.rules;
    letsIn = builtins.elem 80 full.networking.firewall.allowedTCPPorts;
    nginx = {
      inherit (full.services.nginx.virtualHosts.nix-tether) default;
      listen = map (pick [ "addr" "port" ]) full.services.nginx.virtualHosts.nix-tether.listen;
      inherit (full.services.nginx.virtualHosts.nix-tether.locations."/") root;
    };
    gc = {
      timer = full.systemd.timers.nix-tether-cache-gc.timerConfig;
      config = readToml (
        builtins.head (
          builtins.match ".*/bin/nix-tether gc cache --config (.*)"
            full.systemd.services.nix-tether-cache-gc.serviceConfig.ExecStart
        )
      );
    };
    avahi = pick [ "addresses" "enable" "userServices" ] full.services.avahi.publish;
  };
  quiet = builtins.attrNames (services (evaluate {
    announce = false;
    signExisting = false;
  } { }));
  refused = failed (evaluate { } { nix.settings.allowed-users = [ "pi" ]; });
}
