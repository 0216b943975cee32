# What the modules, the flake and the package come to, in the cases that are worth a look, as one value to be told in JSON.
# They are evaluated against the stand-ins of this folder, or, given their folders, the real nixpkgs and Home Manager.
{
  nixpkgs ? null,
  home-manager ? null,
  examples ? [ ],
}:

let
  standInLib = import ./lib.nix;
  standIn = import ./machines.nix { lib = standInLib; } // {
    lib = standInLib;
  };
  world = if nixpkgs == null then standIn else import ./real.nix { inherit nixpkgs home-manager; };

  package = {
    type = "derivation";
    name = "nix-tether";
    outPath = "/pkgs/nix-tether";
    meta.mainProgram = "nix-tether";
  };
  arguments = world // {
    inherit package;
    # Those of ours.
    failed =
      config:
      map (one: one.message) (
        builtins.filter (
          one: !one.assertion && world.lib.hasPrefix "services.nix-tether" one.message
        ) config.assertions
      );
    pick = names: set: builtins.intersectAttrs (world.lib.genAttrs names (_: null)) set;
  };
in
{
  home = import ./home-cases.nix arguments;
  laptop = import ./laptop-cases.nix arguments;
  pi = import ./pi-cases.nix arguments;
  farm = import ./farm-cases.nix arguments;
  pages = import ./page-cases.nix arguments examples;
}
// (
  if nixpkgs != null then
    { }
  else
    {
      flake = import ./flake-cases.nix standIn;
      nodeModules = arguments.pick [
        "buildPhase"
        "installPhase"
        "outputHash"
      ] ((import ./packages.nix { lib = standInLib; }).callPackage ../../nix/node-modules.nix { });
    }
)
