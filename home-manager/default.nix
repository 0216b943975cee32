# Home Manager module: the daemon, its configuration and its two systemd units.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkIf mkOption types;

  cfg = config.services.nix-tether;
  toml = pkgs.formats.toml { };
  program = lib.getExe cfg.package;
  port = cfg.settings.gateway.port or 37515;
  include = "!include nix-tether.conf\n";
  # Home Manager's own Nix module, where it writes nix.conf, drops text that others give to the file.
  nixModuleWrites = config.nix.enable && config.nix.package != null;

  # The machine's own ssh and systemctl come first: they know its ssh_config and its running systemd.
  path = lib.concatStringsSep ":" [
    "%h/.local/bin"
    "%h/.nix-profile/bin"
    "%h/.local/state/nix/profile/bin"
    "/etc/profiles/per-user/%u/bin"
    "/nix/var/nix/profiles/default/bin"
    "/run/current-system/sw/bin"
    "/usr/local/bin"
    "/usr/bin"
    "/bin"
    (lib.makeBinPath [
      pkgs.openssh
      pkgs.systemd
    ])
  ];
in
{
  options.services.nix-tether = {
    enable = lib.mkEnableOption "nix-tether, which uses the Nix stores you own while they are in reach";

    package = mkOption {
      type = types.package;
      default = pkgs.nix-tether;
      defaultText = lib.literalExpression "pkgs.nix-tether";
      description = "The package that holds {command}`nix-tether`.";
    };

    settings = mkOption {
      inherit (toml) type;
      default = { };
      example = lib.literalExpression ''
        {
          caches.pi = {
            host = "raspberrypi.local";
            user = "pi";
          };
        }
      '';
      description = ''
        The contents of {file}`$XDG_CONFIG_HOME/nix-tether/config.toml`.
        docs/configuration.md lists every key. With another `gateway.port` the socket unit follows.
      '';
    };

    includeOverride = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Whether to end your {file}`nix.conf` with `!include nix-tether.conf`, without which
        Nix never looks at the caches. Where {option}`nix.package` is set the line goes through
        {option}`nix.extraOptions`; where it is not, {file}`nix.conf` holds this line only.
        Turn it off when you keep {file}`nix.conf` by hand, and add the line there.
      '';
    };
  };

  config = mkIf cfg.enable {
    assertions = [
      {
        assertion = pkgs.stdenv.hostPlatform.isLinux;
        message = "services.nix-tether needs systemd, so it works on Linux only.";
      }
      {
        assertion = (cfg.settings.caches or { }) != { };
        message = "services.nix-tether.settings.caches names no cache; set at least one, e.g. caches.pi.host.";
      }
    ];

    home.packages = [ cfg.package ];

    xdg.configFile."nix-tether/config.toml".source = toml.generate "nix-tether-config.toml" cfg.settings;

    # Last in the file: a later `substituters =` would wipe what the included file adds.
    xdg.configFile."nix/nix.conf" = mkIf (cfg.includeOverride && !nixModuleWrites) {
      text = lib.mkAfter include;
    };
    nix.extraOptions = mkIf (cfg.includeOverride && nixModuleWrites) (lib.mkAfter include);

    # The same units as in systemd/; what each line is for stands there.
    systemd.user.sockets.nix-tether = {
      Unit = {
        Description = "nix-tether gateway port";
        OnFailure = [ "nix-tether-away.socket" ];
        StartLimitIntervalSec = 0;
      };
      Socket = {
        ListenStream = "127.0.0.1:${toString port}";
        FileDescriptorName = "gateway";
        NoDelay = true;
      };
      Install.WantedBy = [ "sockets.target" ];
    };

    systemd.user.sockets.nix-tether-away = {
      Unit = {
        Description = "nix-tether gateway port, while the daemon can not run";
        Conflicts = [ "nix-tether.socket" ];
        After = [ "nix-tether.socket" ];
        StartLimitIntervalSec = 0;
      };
      Socket = {
        ListenStream = "127.0.0.1:${toString port}";
        NoDelay = true;
        Accept = "yes";
        MaxConnections = 256;
        TriggerLimitIntervalSec = 0;
      };
    };

    systemd.user.services."nix-tether-away@" = {
      Unit = {
        Description = ''nix-tether: "not here"'';
        PartOf = [ "nix-tether-away.socket" ];
        CollectMode = "inactive-or-failed";
      };
      Service = {
        ExecStart = lib.concatStringsSep " " [
          "/bin/sh -c 'while read -r method path version; do"
          ''while read -r header && [ $${#header} -gt 1 ]; do :; done;''
          "case $$path in"
          ''*/nix-cache-info) printf "HTTP/1.1 200 OK\\r\\nContent-Length: 51\\r\\n\\r\\nStoreDir: /nix/store\\nWantMassQuery: 1\\nPriority: 30\\n" ;;''
          ''*) true 2>/dev/null >"$${XDG_STATE_HOME:-$$HOME/.local/state}/nix-tether/denied-while-away";''
          ''printf "HTTP/1.1 404 Not Found\\r\\nContent-Length: 0\\r\\n\\r\\n" ;;''
          "esac; done'"
        ];
        StandardInput = "socket";
        StandardError = "journal";
        SyslogIdentifier = "nix-tether";
        LogLevelMax = "err";
        RuntimeMaxSec = "1min";
        UMask = "0077";
        NoNewPrivileges = true;
      };
    };

    systemd.user.services.nix-tether = {
      Unit = {
        Description = "nix-tether: the Nix stores you own, while they are in reach";
        Wants = [ "nix-tether.socket" ];
        After = [ "nix-tether.socket" ];
        StartLimitIntervalSec = "3min";
        StartLimitBurst = 10;
        X-Restart-Triggers = [ "${config.xdg.configFile."nix-tether/config.toml".source}" ];
      };
      Service = {
        Type = "notify";
        NotifyAccess = "all";
        Environment = [ "PATH=${path}" ];
        ExecStart = "${program} run";
        ExecStopPost = lib.concatStringsSep " " [
          ''-/bin/sh -c '[ "$$EXIT_STATUS" = 5 ] || ${program} unlist ||''
          ''{ f="$${XDG_CONFIG_HOME:-$$HOME/.config}/nix/nix-tether.conf"; [ -f "$$f" ] && [ ! -L "$$f" ] && : >"$$f";''
          "}'"
        ];
        SyslogIdentifier = "nix-tether";
        Restart = "on-failure";
        RestartPreventExitStatus = "2 5 127";
        RestartSec = "500ms";
        TimeoutStartSec = "15s";
        WatchdogSec = "1min";
        WatchdogSignal = "SIGKILL";
        TimeoutStopSec = "20s";
        RuntimeDirectory = "nix-tether";
        RuntimeDirectoryMode = "0700";
        UMask = "0077";
        NoNewPrivileges = true;
        LockPersonality = true;
        RestrictRealtime = true;
        RestrictNamespaces = true;
        RestrictAddressFamilies = "AF_UNIX AF_INET AF_INET6 AF_NETLINK";
        SystemCallArchitectures = "native";
        SystemCallFilter = "@system-service @pkey";
        SystemCallErrorNumber = "EPERM";
      };
      Install.WantedBy = [ "default.target" ];
    };
  };
}
