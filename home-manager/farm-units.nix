# The same units as in systemd/, where it stands what each line is for, but for the program's place; a timer for each farm.
{
  lib,
  program,
  path,
  farms,
  timer,
}:

{
  services."nix-tether-farm@" = {
    Unit = {
      Description = "nix-tether: the farm %i";
      StartLimitIntervalSec = "3h";
      StartLimitBurst = 5;
    };
    Service = {
      Type = "oneshot";
      Environment = [ "PATH=${path}" ];
      ExecStart = "${program} farm run %i";
      SyslogIdentifier = "nix-tether-farm";
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
  };

  timers = lib.mapAttrs' (
    name: farm:
    lib.nameValuePair "nix-tether-farm@${name}" {
      Unit.Description = "nix-tether: the farm ${name}, every night";
      Timer = timer farm.startAt;
      Install.WantedBy = [ "timers.target" ];
    }
  ) (lib.filterAttrs (_: farm: farm.startAt != null) farms);
}
