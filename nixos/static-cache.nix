# A folder of NARs served by nginx, as `nix copy --to file:///var/lib/nix-cache` fills it. It is read without any login, so
# it holds nothing but what everybody on the network may have.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkIf mkOption types;

  cfg = config.services.nix-tether.pi.staticCache;
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

    keepDays = mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      example = 14;
      description = "Remove what nobody has read for so many days; null keeps everything.";
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

    systemd.tmpfiles.rules = [ "d ${cfg.path} 0755 root root -" ];

    systemd.services.nix-tether-cache-gc = mkIf (cfg.keepDays != null) {
      description = "Removal of what nobody reads from the static Nix cache";
      startAt = "daily";
      serviceConfig = {
        Type = "oneshot";
        ProtectSystem = "strict";
        ReadWritePaths = [ cfg.path ];
        PrivateNetwork = true;
        NoNewPrivileges = true;
      };
      # A description whose archive is gone would cost Nix an attempt.
      script = ''
        cd ${cfg.path}
        find . -type f \( -name '*.narinfo' -o -path './nar/*' \) -atime +${toString cfg.keepDays} -delete
        for info in ./*.narinfo; do
          [ -e "$info" ] || continue
          archive=$(sed -n 's/^URL: //p' "$info")
          [ -e "$archive" ] || rm -f "$info"
        done
      '';
    };
  };
}
