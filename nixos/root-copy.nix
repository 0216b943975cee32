# The same units as in root/, where it stands what each line is for: one of each for every user whose caches root uses.
{
  lib,
  pkgs,
  program,
  overrides,
}:

let
  forEach = make: lib.mapAttrs' (name: file: lib.nameValuePair "nix-tether-root@${name}" (make name file)) overrides;
in
{
  paths = forEach (
    name: file: {
      description = "nix-tether: the caches of ${name}, watched for root";
      wants = [ "nix-tether-root@${name}.timer" ];
      pathConfig.PathChanged = file;
      wantedBy = [ "multi-user.target" ];
    }
  );

  timers = forEach (
    name: _: {
      description = "nix-tether: the caches of ${name}, looked at for root";
      partOf = [ "nix-tether-root@${name}.path" ];
      timerConfig = {
        OnActiveSec = 0;
        OnUnitInactiveSec = "1min";
        AccuracySec = "10s";
      };
    }
  );

  services."nix-tether-root@" = {
    description = "nix-tether: the caches of %i for root";
    path = [
      pkgs.getent
      pkgs.util-linux
    ];
    unitConfig.StartLimitIntervalSec = 0;
    serviceConfig = import ./hardening.nix // {
      Type = "oneshot";
      ExecStart = "${program} %i";
      TimeoutStartSec = "1min";
      SyslogIdentifier = "nix-tether-root";
      LogLevelMax = "notice";
      RuntimeDirectory = "nix-tether";
      RuntimeDirectoryMode = "0755";
      RuntimeDirectoryPreserve = "yes";
      UMask = "0077";
      MemoryMax = "64M";
      TasksMax = 32;
      CapabilityBoundingSet = "CAP_SETUID CAP_SETGID CAP_KILL";
      ProtectHome = "read-only";
      PrivateIPC = true;
      RestrictAddressFamilies = "AF_UNIX";
      IPAddressDeny = "any";
      MemoryDenyWriteExecute = true;
      RestrictSUIDSGID = true;
      SystemCallFilter = "@system-service";
      SystemCallErrorNumber = "EPERM";
    };
  };
}
