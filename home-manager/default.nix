# Home Manager module: the daemon, its configuration and its systemd units.
{
  config,
  lib,
  pkgs,
  ...
}@args:

let
  inherit (lib)
    attrNames
    concatStringsSep
    filterAttrs
    mapAttrs
    mkIf
    mkOption
    types
    ;

  cfg = config.services.nix-tether;
  toml = pkgs.formats.toml { };
  farm = import ./farm.nix { inherit lib toml; };
  # A machine that only has farms needs no daemon.
  hasCaches = cfg.settings.caches != { };
  program = lib.getExe cfg.package;
  inherit (cfg.settings.gateway) port;

  # Last in the file: a later `substituters =` would wipe what the included file adds.
  include = lib.mkOrder 2000 "!include nix-tether.conf\n";
  # Home Manager's own Nix module, where it writes nix.conf, drops text that others give to the file.
  nixModuleWrites = config.nix.enable && config.nix.package != null;

  # TOML has no null.
  withoutNulls = lib.filterAttrsRecursive (_: value: value != null);

  # The machine's own ssh and systemctl come first: they know its ssh_config and its running systemd.
  path = concatStringsSep ":" [
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

  farmPath = concatStringsSep ":" [
    path
    (lib.makeBinPath [
      pkgs.git
      pkgs.util-linux
    ])
  ];

  # Where Home Manager is a part of NixOS: the other users who have the same port.
  osConfig = args.osConfig or null;
  users = if osConfig == null then { } else osConfig.home-manager.users or { };
  rivals = attrNames (
    filterAttrs (
      name: user:
      name != config.home.username
      && user.services.nix-tether.enable or false
      && user.services.nix-tether.settings.gateway.port == port
    ) users
  );

  isAbsolute = file: lib.hasPrefix "/" file || lib.hasPrefix "~/" file;
  files =
    lib.concatMap (
      cache: lib.concatMap (key: lib.toList cache.${key}) [
        "identity-file"
        "identity-agent"
        "known-hosts"
        "remote-socket"
        "netrc-file"
      ]
    ) (lib.attrValues cfg.settings.caches)
    ++ [ cfg.settings.uploads.signing-key ];
  relative = lib.filter (file: file != null && !isAbsolute file) files;

  isName = name: builtins.match "[A-Za-z0-9][A-Za-z0-9_-]{0,31}" name != null && name != "control";
  badNames = lib.filter (name: !isName name) (attrNames cfg.settings.caches);
  unknownTargets = lib.filter (name: !cfg.settings.caches ? ${name}) cfg.settings.uploads.to;
  hostless = attrNames (
    filterAttrs (
      _: cache: cache.host == null && (cache.type == null || cache.type == "ssh")
    ) cfg.settings.caches
  );
  urlless = attrNames (filterAttrs (_: cache: cache.url == null && cache.type == "http") cfg.settings.caches);

  require = assertion: message: {
    inherit assertion;
    message = "services.nix-tether${message}";
  };
in
{
  imports =
    map
      (
        key:
        lib.mkAliasOptionModule
          [ "services" "nix-tether" key ]
          [ "services" "nix-tether" "settings" key ]
      )
      [
        "caches"
        "uploads"
      ];

  options.services.nix-tether = {
    enable = lib.mkEnableOption "nix-tether, which uses the Nix stores you own while they are in reach";

    package = mkOption {
      type = types.package;
      default = pkgs.nix-tether or (pkgs.callPackage ../nix/package.nix { });
      defaultText = lib.literalExpression "pkgs.nix-tether";
      description = "The package that holds {command}`nix-tether`.";
    };

    settings = mkOption {
      type = import ./settings.nix { inherit lib toml; };
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
        The contents of {file}`$XDG_CONFIG_HOME/nix-tether/config.toml`; {manpage}`nix-tether(1)` has every key.
        {option}`services.nix-tether.caches` and {option}`services.nix-tether.uploads` are the same as
        `settings.caches` and `settings.uploads`. With another `gateway.port` the socket units follow.
      '';
    };

    farms = mkOption {
      type = types.attrsOf farm.type;
      default = { };
      example = lib.literalExpression ''
        {
          home = {
            repository = "git@git.example.org:me/nixos-config.git";
            attributes = [ "nixosConfigurations.laptop.config.system.build.toplevel" ];
            push-to = [ "disk" ];
          };
        }
      '';
      description = "Build farms, by names of your choice: {command}`nix-tether farm`. Each has a timer.";
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
      (require pkgs.stdenv.hostPlatform.isLinux " needs systemd, so it works on Linux only.")
      (require (hasCaches || cfg.farms != { }) ".caches names no cache; set at least one, e.g. caches.pi.host.")
      (require (hostless == [ ]) ".caches: ${concatStringsSep ", " hostless} has no host.")
      (require (urlless == [ ]) ".caches: ${concatStringsSep ", " urlless} has no url.")
      (require (badNames == [ ]) ".caches: ${concatStringsSep ", " badNames} can not be the name of a cache: it takes 1 to 32 letters, digits, \"-\" and \"_\", and is not \"control\".")
      (require (unknownTargets == [ ]) ".uploads.to names ${concatStringsSep ", " unknownTargets}, which is none of caches.")
      (require (relative == [ ]) ": ${concatStringsSep ", " relative} is no absolute path; begin it with / or ~/.")
      (require (rivals == [ ]) ".settings.gateway.port: ${concatStringsSep ", " rivals} has port ${toString port} too; every user of a machine needs one of their own.")
    ];

    home.packages = [ cfg.package ];

    services.nix-tether.settings.farms = mkIf (cfg.farms != { }) (
      mapAttrs (_: farm.settingsOf) cfg.farms
    );

    xdg.configFile."nix-tether/config.toml".source =
      toml.generate "nix-tether-config.toml" (withoutNulls cfg.settings);

    xdg.configFile."nix/nix.conf" = mkIf (hasCaches && cfg.includeOverride && !nixModuleWrites) { text = include; };
    nix.extraOptions = mkIf (hasCaches && cfg.includeOverride && nixModuleWrites) include;

    systemd.user = lib.mkMerge [
      (mkIf hasCaches (
        import ./units.nix {
          inherit lib program path port;
          # A change of the configuration restarts the daemon.
          restartTriggers = [ "${config.xdg.configFile."nix-tether/config.toml".source}" ];
        }
      ))
      (mkIf (cfg.farms != { }) (
        import ./farm-units.nix {
          inherit lib program;
          inherit (cfg) farms;
          inherit farm;
          path = farmPath;
        }
      ))
    ];
  };
}
