# Stand-ins for nixpkgs' packages, Home Manager and NixOS: the options that the modules of this repository set, and no others,
# so that setting one that is not there is an error.
{ lib }:

let
  inherit (lib) mkOption types;

  option = type: default: mkOption { inherit type default; };
  unset = type: mkOption { inherit type; };
  anything = option types.anything { };
  assertions = option (types.listOf types.anything) [ ];

  homeOptions.options = {
    inherit assertions;
    home.username = option types.str "ada";
    home.packages = option (types.listOf types.package) [ ];
    nix.enable = option types.bool true;
    nix.package = option (types.nullOr types.package) null;
    nix.extraOptions = option types.lines "";
    xdg.configHome = option types.str "/home/ada/.config";
    xdg.configFile = option (types.attrsOf (
      types.submodule {
        options.text = option (types.nullOr types.lines) null;
        options.source = option (types.nullOr types.anything) null;
      }
    )) { };
    systemd.user = anything;
  };

  osOptions.options = {
    inherit assertions;
    boot.isContainer = option types.bool false;
    environment.etc = anything;
    home-manager = anything;
    networking.firewall.allowedTCPPorts = option (types.listOf types.port) [ ];
    networking.hostName = option types.str "nixos";
    nix.package = option types.package "/pkgs/nix";
    nix.settings = anything;
    nixpkgs.hostPlatform = unset types.str;
    services.avahi = anything;
    services.nginx = anything;
    services.openssh.enable = option types.bool false;
    services.openssh.extraConfig = option types.lines "";
    services.openssh.ports = option (types.listOf types.port) [ 22 ];
    system.stateVersion = option types.str "26.05";
    systemd = anything;
    users.groups = anything;
    users.users = anything;
  };
in
rec {
  pkgs = {
    stdenv.hostPlatform = {
      isLinux = true;
      system = "x86_64-linux";
    };
    runtimeShell = "/pkgs/bash/bin/bash";
    formats.toml = _: {
      type = types.anything;
      generate = _: builtins.toJSON;
    };
    callPackage = file: _: (import ./packages.nix { inherit lib; }).callPackage file { };
  }
  // lib.genAttrs [
    "avahi"
    "getent"
    "git"
    "nix"
    "nodejs"
    "openssh"
    "systemd"
    "util-linux"
  ] (name: "/pkgs/${name}");

  readToml = builtins.fromJSON;

  evalHome =
    {
      modules,
      osConfig ? null,
      linux ? true,
    }:
    lib.evalModules {
      modules = [ homeOptions ] ++ modules;
      specialArgs = {
        inherit lib osConfig;
        pkgs = pkgs // {
          stdenv.hostPlatform.isLinux = linux;
        };
      };
    };

  evalOs =
    modules:
    lib.evalModules {
      modules = [ osOptions ] ++ modules;
      specialArgs = { inherit lib pkgs; };
    };
}
