# Evaluates the Home Manager module against a stand-in for nixpkgs and Home Manager, just large enough
# for this one module. `--arg` values say how a user configured it; the answer is what it defines.
{
  settings ? { },
  nixPackage ? null,
  includeOverride ? null,
  linux ? true,
}:

let
  lib = {
    mkIf = condition: content: if condition then content else null;
    mkAfter = content: content;
    mkOption = option: option;
    mkEnableOption = description: {
      inherit description;
      default = false;
    };
    literalExpression = text: text;
    getExe = package: "${package}/bin/nix-tether";
    inherit (builtins) concatStringsSep;
    makeBinPath = packages: builtins.concatStringsSep ":" (map (package: "${package}/bin") packages);
    types = {
      bool = "bool";
      package = "package";
    };
  };

  pkgs = {
    nix-tether = "/pkgs/nix-tether";
    openssh = "/pkgs/openssh";
    systemd = "/pkgs/systemd";
    stdenv.hostPlatform.isLinux = linux;
    formats.toml = _: {
      type = "toml";
      generate = name: value: "${name}: ${builtins.toJSON value}";
    };
  };

  module = import ../../home-manager/default.nix;
  defaults = builtins.mapAttrs (_: option: option.default) result.options.services.nix-tether;
  chosen = if includeOverride == null then { } else { inherit includeOverride; };
  result = module {
    inherit lib pkgs;
    config = {
      services.nix-tether = defaults // { enable = true; } // { inherit settings; } // chosen;
      nix = {
        enable = true;
        package = nixPackage;
      };
      inherit (result.config) xdg;
    };
  };
in
result.config
// {
  failed = map (a: a.message) (builtins.filter (a: !a.assertion) result.config.assertions);
}
