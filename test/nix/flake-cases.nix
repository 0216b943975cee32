# The flake's outputs, from inputs that are stand-ins.
{
  lib,
  evalOs,
  pkgs,
  ...
}:

let
  flake = import ../../flake.nix;
  packages = import ./packages.nix { inherit lib; };
  pkgsOf =
    system:
    pkgs
    // packages
    // {
      stdenv.hostPlatform = {
        isLinux = true;
        inherit system;
      };
      mkShellNoCC = shell: shell;
      nixfmt-tree = "/pkgs/nixfmt-tree";
    };
  outputs = flake.outputs {
    self = outputs;
    nixpkgs = {
      lib = lib // {
        nixosSystem =
          { modules }:
          {
            config.environment.etc = {
              "nix/nix.conf".source = (evalOs modules).nix.settings;
              "ssh/sshd_config".source = (evalOs modules).services.openssh.extraConfig;
            };
          };
      };
      legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] pkgsOf;
    };
  };
  system = "aarch64-linux";
in
{
  outputs = builtins.mapAttrs (_: builtins.attrNames) outputs;
  inputs = builtins.mapAttrs (_: input: input.url) flake.inputs;
  package = {
    inherit (outputs.packages.${system}.default)
      name
      src
      version
      meta
      ;
  };
  overlay = (outputs.overlays.default (pkgsOf system) { }).nix-tether.outPath;
  checks = {
    package = outputs.checks.${system}.package.outPath;
    laptop = builtins.length outputs.checks.${system}.laptop.trusted-substituters;
    pi = outputs.checks.${system}.pi != "";
  };
  devShell = outputs.devShells.${system}.default.packages;
  formatter = outputs.formatter.${system};
}
