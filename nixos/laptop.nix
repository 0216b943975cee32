# NixOS module for the laptop: what root has to allow so that its users can use nix-tether, to the letter, and what root may
# add: the post-build hook, lingering, and the caches for root's own commands.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib)
    attrValues
    concatLists
    concatMap
    concatStringsSep
    filterAttrs
    mapAttrs
    mapAttrsToList
    mkDefault
    mkIf
    mkOption
    types
    unique
    ;

  cfg = config.services.nix-tether;
  files = "${cfg.package}/lib/nix-tether";

  # What that user has in Home Manager, where it is a part of this system.
  homeOf = name: config.home-manager.users.${name}.services.nix-tether or { enable = false; };
  configHomeOf =
    name:
    config.home-manager.users.${name}.xdg.configHome or "${config.users.users.${name}.home}/.config";

  # As the daemon writes it, with its number ("/0") or without ("").
  urlOf =
    port: name: cache: number:
    "http://127.0.0.1:${toString port}/${name}${number}?priority=${toString cache.priority}";

  # With "trusted=true" in the URL, whoever listens on the port could put anything into the store, so root allows no such URL
  # to everybody: who uses it has to be a trusted user.
  signedCaches = user: filterAttrs (_: cache: !cache.trusted) user.caches;

  ring =
    user:
    concatLists (
      mapAttrsToList (
        name: cache: lib.genList (n: urlOf user.port name cache "/${toString n}") 16
      ) (signedCaches user)
    );

  uploaders = filterAttrs (_: user: user.uploads) cfg.users;
  lingerers = filterAttrs (_: user: user.linger) cfg.users;
  rootsUsers = filterAttrs (_: user: user.root) cfg.users;
  ports = mapAttrsToList (_: user: user.port) cfg.users;

  cacheOptions = {
    options = {
      priority = mkOption {
        type = types.ints.unsigned;
        default = 30;
        description = "As in that user's configuration: it is a part of the URL.";
      };
      trusted = mkOption {
        type = types.bool;
        default = false;
        description = "As in that user's configuration. Only for users in {option}`nix.settings.trusted-users`.";
      };
      public-keys = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "pi-1:PASTE-THE-LINE-FROM-THE-PI" ];
        description = "Keys that this machine's paths are signed with.";
      };
    };
  };

  userOptions =
    { name, config, ... }:
    let
      home = homeOf name;
      orElse = fallback: value: if value == null then fallback else value;
    in
    {
      options = {
        port = mkOption {
          type = types.port;
          default = if home.enable then home.settings.gateway.port else 37515;
          defaultText = "that of Home Manager, or 37515";
          description = "Port of this user's gateway.";
        };
        caches = mkOption {
          type = types.attrsOf (types.submodule cacheOptions);
          default = { };
          description = "This user's caches. Those in Home Manager are known where it is a part of this system.";
        };
        uploads = mkOption {
          type = types.bool;
          default =
            home.enable && home.settings.uploads.to != [ ] && home.settings.uploads.source != "watch";
          defaultText = "whether Home Manager has uploads by the hook";
          description = "Whether the post-build hook queues for this user what is built here.";
        };
        linger = mkOption {
          type = types.bool;
          default = config.root;
          defaultText = "config.root";
          description = "Whether this user's daemon runs from boot on, and also when they have logged out.";
        };
        root = mkOption {
          type = types.bool;
          default = false;
          description = ''
            Whether root's own commands, such as {command}`nixos-rebuild`, use these caches while they are in reach.
            Root reads nothing that the user can write: a copy is kept that only root can write, and into it gets nothing
            but the exact URLs of the caches. The user can slow root's commands down, and not change what they get.
          '';
        };
        override = mkOption {
          type = types.str;
          default = "${configHomeOf name}/nix/nix-tether.conf";
          defaultText = "~/.config/nix/nix-tether.conf";
          description = "The file that this user's daemon writes.";
        };
      };
      config.caches = mkIf home.enable (
        mapAttrs (_: cache: {
          priority = mkDefault (orElse 30 cache.priority);
          trusted = mkDefault (orElse false cache.trusted);
          public-keys = orElse [ ] cache.public-keys;
        }) home.settings.caches
      );
    };
in
{
  options.services.nix-tether = {
    enable = lib.mkEnableOption "what users of nix-tether need from root";

    package = mkOption {
      type = types.package;
      default = pkgs.nix-tether or (pkgs.callPackage ../nix/package.nix { });
      defaultText = lib.literalExpression "pkgs.nix-tether";
      description = "The package that the post-build hook comes from.";
    };

    users = mkOption {
      type = types.attrsOf (types.submodule userOptions);
      default = { };
      example = lib.literalExpression ''
        { ada.caches.pi.public-keys = [ "pi-1:PASTE-THE-LINE-FROM-THE-PI" ]; }
      '';
      description = "Who uses nix-tether on this machine.";
    };

    hook.chain = mkOption {
      type = types.nullOr types.path;
      default = null;
      description = "Another post-build hook, to be run after that of nix-tether. Its failure is not passed on.";
    };
  };

  config = mkIf cfg.enable {
    assertions = [
      {
        assertion = unique ports == ports;
        message = "services.nix-tether.users: two users have the same port; every one needs one of their own.";
      }
      {
        assertion = cfg.hook.chain == null || uploaders != { };
        message = "services.nix-tether.hook.chain needs a user with uploads; without one, set nix.settings.post-build-hook itself.";
      }
    ]
    ++ mapAttrsToList (name: user: {
      assertion = user.caches != { };
      message = "services.nix-tether.users.${name}.caches names no cache.";
    }) cfg.users;

    nix.settings = {
      trusted-substituters = concatMap ring (attrValues cfg.users);
      trusted-public-keys = unique (
        concatMap (user: concatMap (cache: cache.public-keys) (attrValues user.caches)) (
          attrValues cfg.users
        )
      );
      post-build-hook = mkIf (uploaders != { }) "${files}/hooks/post-build-hook.sh";
    };

    environment.etc."nix-tether/hook.conf" = mkIf (uploaders != { }) {
      text = concatStringsSep "" (
        mapAttrsToList (name: _: "user = ${name}\n") uploaders
        ++ lib.optional (cfg.hook.chain != null) "chain = ${cfg.hook.chain}\n"
      );
    };

    users.users = mapAttrs (_: _: { linger = true; }) lingerers;

    environment.etc."nix-tether/root.conf" = mkIf (rootsUsers != { }) {
      text = concatStringsSep "" (
        concatLists (
          mapAttrsToList (
            name: user:
            [ "override = ${name} ${user.override}\n" ]
            ++ mapAttrsToList (
              cacheName: cache: "cache = ${name} ${urlOf user.port cacheName cache ""}\n"
            ) (signedCaches user)
          ) rootsUsers
        )
      );
    };

    # From here a command of root's tells the nix-daemon, as it does not with /etc/nix/nix.conf; nobody else can read what is
    # included.
    environment.etc."xdg/nix/nix.conf" = mkIf (rootsUsers != { }) {
      text = concatStringsSep "" (
        mapAttrsToList (name: _: "!include /run/nix-tether/${name}.conf\n") rootsUsers
      );
    };

    systemd = mkIf (rootsUsers != { }) (
      lib.mkMerge [
        {
          # Itself it must not read that, or it would keep for everybody what was in reach when it began.
          services.nix-daemon.environment.NIX_USER_CONF_FILES = "";
        }
        (import ./root-copy.nix {
          inherit lib pkgs;
          program = "${files}/root/nix-tether-root.sh";
          overrides = mapAttrs (_: user: user.override) rootsUsers;
        })
      ]
    );
  };
}
