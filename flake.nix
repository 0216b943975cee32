# `nix build`, `nix run .# -- demo`, and the modules for Home Manager and NixOS.
{
  description = "Use the Nix stores you own while they are in reach, and never notice when they are not";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;

      eachSystem =
        make:
        lib.genAttrs [
          "x86_64-linux"
          "aarch64-linux"
        ] (system: make nixpkgs.legacyPackages.${system});

      systemOf = pkgs: pkgs.stdenv.hostPlatform.system;
      packageFor = pkgs: self.packages.${systemOf pkgs}.default;

      # A module of ours, with the package of this flake.
      withPackage =
        module:
        { pkgs, ... }:
        {
          imports = [ module ];
          services.nix-tether.package = lib.mkDefault (packageFor pkgs);
        };

      # What a machine with one of the modules has in /etc: Nix and sshd look through theirs as these are built.
      etcOf =
        pkgs: module: settings:
        (lib.nixosSystem {
          modules = [
            module
            {
              services.nix-tether = settings;
              nixpkgs.hostPlatform = systemOf pkgs;
              boot.isContainer = true;
              users.users.ada.isNormalUser = true;
              system.stateVersion = lib.trivial.release;
            }
          ];
        }).config.environment.etc;
    in
    {
      packages = eachSystem (pkgs: rec {
        nix-tether = pkgs.callPackage ./nix/package.nix { };
        default = nix-tether;
      });

      overlays.default = final: _: { nix-tether = final.callPackage ./nix/package.nix { }; };

      homeModules = rec {
        nix-tether = withPackage ./home-manager;
        default = nix-tether;
      };

      nixosModules = rec {
        laptop = withPackage ./nixos/laptop.nix;
        pi = ./nixos/pi.nix;
        farm =
          { pkgs, ... }:
          {
            imports = [ ./nixos/farm.nix ];
            services.nix-tether.farm.package = lib.mkDefault (packageFor pkgs);
          };
        default = laptop;
      };

      checks = eachSystem (pkgs: {
        package = packageFor pkgs;
        laptop =
          (etcOf pkgs self.nixosModules.laptop {
            enable = true;
            users.ada = {
              caches.pi.public-keys = [ "pi-1:AAAA" ];
              root = true;
              uploads = true;
            };
          })."nix/nix.conf".source;
        pi = (etcOf pkgs self.nixosModules.pi { pi.enable = true; })."ssh/sshd_config".source;
      });

      devShells = eachSystem (pkgs: {
        default = pkgs.mkShellNoCC {
          packages = [
            pkgs.nix
            pkgs.nodejs
            pkgs.openssh
          ];
        };
      });

      formatter = eachSystem (pkgs: pkgs.nixfmt-tree or pkgs.nixfmt-rfc-style);
    };
}
