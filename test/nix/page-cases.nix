# The documentation's examples in use: `files` have a function of a flake's inputs each, which gives a module of Home Manager
# or of NixOS. `homes` are those that the user of the NixOS has in Home Manager.
{
  lib,
  evalHome,
  evalOs,
  package,
  failed,
  ...
}:
examples:

let
  given = lib.mkDefault package;
  inputs.nix-tether = {
    homeModules.default = {
      imports = [ ../../home-manager ];
      config.services.nix-tether.package = given;
    };
    nixosModules = {
      laptop = {
        imports = [ ../../nixos/laptop.nix ];
        config.services.nix-tether.package = given;
      };
      farm = {
        imports = [ ../../nixos/farm.nix ];
        config.services.nix-tether.farm.package = given;
      };
      pi = {
        imports = [ ../../nixos/pi.nix ];
        config.services.nix-tether.pi.staticCache.package = given;
      };
    };
  };

  # Who follows the pages.
  me = {
    users.users.me = {
      isNormalUser = true;
      home = "/home/me";
    };
  };

  show = config: units: {
    failed = failed config;
    units = builtins.filter (lib.hasPrefix "nix-tether") (builtins.attrNames units);
  };

  evaluate =
    {
      kind,
      files,
      homes,
    }:
    let
      load = map (file: import file inputs);
      home = evalHome { modules = load files; };
      os = evalOs (
        load files
        ++ [
          me
        ]
        ++ lib.optional (homes != [ ]) { home-manager.users.me = evalHome { modules = load homes; }; }
      );
    in
    if kind == "home" then
      show home (home.systemd.user.services or { })
    else
      show os (os.systemd.services or { })
      // {
        allowed = builtins.length (os.nix.settings.trusted-substituters or [ ]);
      };
in
map evaluate examples
