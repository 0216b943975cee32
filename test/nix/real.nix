# The real Home Manager and NixOS in the place of the stand-ins: see default.nix.
{ nixpkgs, home-manager }:

let
  lib = import (nixpkgs + "/lib");
  pkgsFor =
    system:
    import nixpkgs {
      inherit system;
      config = { };
      overlays = [ ];
    };
  pkgs = pkgsFor "x86_64-linux";
in
{
  inherit lib pkgs;

  # Where a file is named in a string, `evalOs` has put its content there.
  readToml = file: builtins.fromJSON (if builtins.isString file then file else file.value);

  evalHome =
    {
      modules,
      osConfig ? null,
      linux ? true,
    }:
    (lib.evalModules {
      class = "homeManager";
      modules =
        import (home-manager + "/modules/modules.nix") {
          pkgs = if linux then pkgs else pkgsFor "aarch64-darwin";
          lib = import (home-manager + "/modules/lib/stdlib-extended.nix") lib;
        }
        ++ [
          {
            home.username = "ada";
            home.homeDirectory = "/home/ada";
            home.stateVersion = "24.05";
          }
        ]
        ++ modules;
      specialArgs = {
        lib = import (home-manager + "/modules/lib/stdlib-extended.nix") lib;
        modulesPath = home-manager + "/modules";
      }
      // (if osConfig == null then { } else { inherit osConfig; });
    }).config;

  evalOs =
    modules:
    (import (nixpkgs + "/nixos/lib/eval-config.nix") {
      system = "x86_64-linux";
      modules = modules ++ [
        {
          options.home-manager = lib.mkOption {
            type = lib.types.raw;
            default = { };
          };
          config.nixpkgs.overlays = [
            (_: before: {
              formats = before.formats // {
                toml = args: before.formats.toml args // { generate = _: builtins.toJSON; };
              };
            })
          ];
          config.system.stateVersion = "24.05";
        }
      ];
    }).config;
}
