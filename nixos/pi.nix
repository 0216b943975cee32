# NixOS module for "the Pi", the machine whose store others use: a login that reaches the nix-daemon and nothing else, a key
# that signs what is built here, and an announcement on the network. If wanted also a static cache, served by nginx.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib)
    mkIf
    mkOption
    optional
    types
    ;

  cfg = config.services.nix-tether.pi;
  nix = config.nix.package;
  folder = "/var/lib/nix-tether";
  secretKey = "${folder}/secret-key";
  publicKey = "${folder}/public-key";

  # For what runs as root and has no business but in one folder.
  hardening = import ./hardening.nix // {
    ProtectHome = true;
    RestrictSUIDSGID = true;
  };

  allowed = config.nix.settings.allowed-users or [ "*" ];
in
{
  imports = [ ./static-cache.nix ];

  options.services.nix-tether.pi = {
    enable = lib.mkEnableOption "what makes this machine's store usable by nix-tether on others";

    user = mkOption {
      type = types.str;
      default = "nix-tether";
      description = "The login that laptops use. It can run {command}`nix-daemon --stdio` and nothing else.";
    };

    authorizedKeys = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "ssh-ed25519 AAAA… ada@laptop" ];
      description = "SSH public keys of those who may use this login.";
    };

    uploadKeys = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "laptop-1:PASTE-THE-LINE-FROM-THE-LAPTOP" ];
      description = ''
        Keys that uploads from the laptops are signed with. They are added to
        {option}`nix.settings.trusted-public-keys`, so this machine takes whatever these keys have signed.
      '';
    };

    keyName = mkOption {
      type = types.strMatching "[A-Za-z0-9._-]+";
      default = "${config.networking.hostName}-1";
      defaultText = "the host name, and -1";
      description = "Name of the key that signs what is built here. A new key should have a new name.";
    };

    signExisting = mkOption {
      type = types.bool;
      default = true;
      description = "Whether to sign once, in the background, what was in the store before there was a key.";
    };

    announce = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Whether to announce the service `_nix-tether._tcp` by avahi, with the name and the fingerprint of the signing key.
      '';
    };
  };

  config = mkIf cfg.enable {
    assertions = [
      {
        assertion = lib.any (name: name == "*" || name == cfg.user || lib.hasPrefix "@" name) allowed;
        message = "services.nix-tether.pi: ${cfg.user} must be in nix.settings.allowed-users to reach the nix-daemon.";
      }
    ];

    services.openssh = {
      enable = true;
      extraConfig = ''
        Match User ${cfg.user}
          AuthenticationMethods publickey
          ForceCommand ${nix}/bin/nix-daemon --stdio
          DisableForwarding yes
          PermitTTY no
          PermitUserRC no
        Match All
      '';
    };

    users.users.${cfg.user} = {
      description = "Laptops that use this machine's Nix store";
      isSystemUser = true;
      group = cfg.user;
      # Runs the forced command.
      shell = pkgs.runtimeShell;
      openssh.authorizedKeys.keys = map (
        key: ''restrict,command="${nix}/bin/nix-daemon --stdio" ${key}''
      ) cfg.authorizedKeys;
    };
    users.groups.${cfg.user} = { };

    nix.settings = {
      secret-key-files = [ secretKey ];
      trusted-public-keys = cfg.uploadKeys;
    };

    systemd.services = {
      # nix-daemon can not build without the key that it is to sign with.
      nix-daemon = {
        wants = [ "nix-tether-key.service" ];
        after = [ "nix-tether-key.service" ];
      };

      nix-tether-key = {
        description = "Signing key of this machine's Nix store";
        wantedBy = [ "multi-user.target" ];
        path = [ nix ];
        unitConfig.ConditionPathExists = "!${secretKey}";
        serviceConfig = hardening // {
          Type = "oneshot";
          StateDirectory = baseNameOf folder;
          UMask = "0022";
        };
        # The secret key is moved last: with it, all is there.
        script = ''
          cd ${folder}
          rm -rf new
          mkdir -m 700 new
          NIX_REMOTE=dummy:// nix-store --generate-binary-cache-key ${cfg.keyName} new/secret-key new/public-key
          chmod 600 new/secret-key
          chmod 644 new/public-key
          sync new/secret-key new/public-key
          mv -f new/public-key public-key
          mv -f new/secret-key secret-key
          rmdir new
        '';
      };

      nix-tether-sign = mkIf cfg.signExisting {
        description = "Signing what was in the Nix store before there was a key";
        wantedBy = [ "multi-user.target" ];
        after = [ "nix-tether-key.service" ];
        path = [ nix ];
        unitConfig.ConditionPathExists = [
          secretKey
          "!${folder}/signed"
        ];
        # The nix-daemon does the writing.
        environment.NIX_REMOTE = "daemon";
        serviceConfig = hardening // {
          # Nothing waits for its end.
          Type = "exec";
          StateDirectory = baseNameOf folder;
          Nice = 19;
          IOSchedulingClass = "idle";
        };
        script = ''
          nix --extra-experimental-features nix-command store sign --all --key-file ${secretKey}
          touch ${folder}/signed
        '';
      };

      nix-tether-announce = mkIf cfg.announce {
        description = "Announcement of this machine's Nix store";
        wantedBy = [ "multi-user.target" ];
        requires = [ "avahi-daemon.service" ];
        after = [
          "avahi-daemon.service"
          "nix-tether-key.service"
        ];
        path = [ pkgs.avahi ];
        serviceConfig = hardening // {
          User = cfg.user;
          RestrictAddressFamilies = "AF_UNIX";
          SystemCallFilter = "@system-service";
          CapabilityBoundingSet = "";
          Restart = "always";
          RestartSec = "5s";
        };
        # Only a fingerprint: what anybody on the network can announce is for comparing, not for trusting.
        script = ''
          # The file has no end of line.
          IFS=: read -r name key <${publicKey} || [ -n "$key" ]
          fingerprint=$(printf %s "$key" | base64 -d | sha256sum)
          exec avahi-publish-service "$(cat /proc/sys/kernel/hostname)" _nix-tether._tcp ${toString (lib.head config.services.openssh.ports)} \
            "key=$name" "fingerprint=sha256:''${fingerprint%% *}"
        '';
      };
    };

    services.avahi = mkIf cfg.announce {
      enable = true;
      publish = {
        enable = true;
        addresses = true;
        userServices = true;
      };
    };
  };
}
