# A stand-in for nixpkgs' way to make packages: a derivation is what it was made of, and its place is told by its name.
{ lib }:

rec {
  mkDerivation =
    attrs:
    attrs
    // (attrs.passthru or { })
    // {
      name = attrs.name or attrs.pname;
      outPath = "/pkgs/${attrs.name or attrs.pname}";
    };

  callPackage =
    file: _:
    let
      make = import file;
      given = {
        inherit lib callPackage;
        stdenvNoCC = { inherit mkDerivation; };
        nodejs = {
          name = "node";
          version = "22.1.0";
          outPath = "/pkgs/nodejs";
        };
      };
    in
    make (builtins.mapAttrs (name: _: given.${name} or "/pkgs/${name}") (builtins.functionArgs make));
}
