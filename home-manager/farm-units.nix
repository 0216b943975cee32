# The same units as in systemd/, where it stands what each line is for, but for the program's place; a timer for each farm.
{
  lib,
  program,
  path,
  farm,
  farms,
}:

{
  services."nix-tether-farm@" = {
    Unit = farm.unit // {
      Description = "nix-tether: the farm %i";
    };
    Service = farm.service // {
      Environment = [ "PATH=${path}" ];
      ExecStart = "${program} farm run %i";
      SyslogIdentifier = "nix-tether-farm";
    };
  };

  timers = lib.mapAttrs' (
    name: one:
    lib.nameValuePair "nix-tether-farm@${name}" {
      Unit.Description = "nix-tether: the farm ${name}, every night";
      Timer = farm.timer one.startAt;
      Install.WantedBy = [ "timers.target" ];
    }
  ) (lib.filterAttrs (_: one: one.startAt != null) farms);
}
