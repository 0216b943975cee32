# The same units as in systemd/, where it stands what each line is for, but for the program's place and the port.
{
  lib,
  program,
  path,
  port,
  restartTriggers,
}:

let
  listen = "127.0.0.1:${toString port}";
in
{
  sockets.nix-tether = {
    Unit = {
      Description = "nix-tether gateway port";
      OnFailure = [ "nix-tether-away.socket" ];
      StartLimitIntervalSec = 0;
    };
    Socket = {
      ListenStream = listen;
      FileDescriptorName = "gateway";
      NoDelay = true;
    };
    Install.WantedBy = [ "sockets.target" ];
  };

  sockets.nix-tether-away = {
    Unit = {
      Description = "nix-tether gateway port, while the daemon can not run";
      Conflicts = [ "nix-tether.socket" ];
      After = [ "nix-tether.socket" ];
      StartLimitIntervalSec = 0;
    };
    Socket = {
      ListenStream = listen;
      NoDelay = true;
      Accept = "yes";
      MaxConnections = 256;
      TriggerLimitIntervalSec = 0;
    };
  };

  services."nix-tether-away@" = {
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
        ''*) case $$path in *.narinfo) true 2>/dev/null >"$${XDG_STATE_HOME:-$$HOME/.local/state}/nix-tether/denied-while-away" ;; esac;''
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
      LockPersonality = true;
      MemoryDenyWriteExecute = true;
      RestrictRealtime = true;
      RestrictNamespaces = true;
      RestrictSUIDSGID = true;
      RestrictAddressFamilies = "none";
      SystemCallArchitectures = "native";
      SystemCallFilter = "@system-service";
      SystemCallErrorNumber = "EPERM";
    };
  };

  services.nix-tether = {
    Unit = {
      Description = "nix-tether: the Nix stores you own, while they are in reach";
      Wants = [ "nix-tether.socket" ];
      After = [ "nix-tether.socket" ];
      StartLimitIntervalSec = "3min";
      StartLimitBurst = 10;
      X-Restart-Triggers = restartTriggers;
    };
    Service = {
      Type = "notify";
      NotifyAccess = "all";
      Environment = [ "MALLOC_ARENA_MAX=1 PATH=${path}" ];
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
      LimitCORE = 0;
      NoNewPrivileges = true;
      LockPersonality = true;
      RestrictRealtime = true;
      RestrictNamespaces = true;
      RestrictSUIDSGID = true;
      RestrictAddressFamilies = "AF_UNIX AF_INET AF_INET6 AF_NETLINK";
      SystemCallArchitectures = "native";
      SystemCallFilter = "@system-service @pkey";
      SystemCallErrorNumber = "EPERM";
    };
    Install.WantedBy = [ "default.target" ];
  };
}
