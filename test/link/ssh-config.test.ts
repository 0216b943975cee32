import { userInfo } from "node:os";
import { describe, expect, test } from "vitest";
import { interpretSshConfig, type LinkConfig } from "../../src/link/ssh-config.js";

const config: LinkConfig = {
  cache: "pi",
  host: "Pi.local",
  transport: "auto",
  remoteSocket: "/nix/var/nix/daemon-socket/socket",
};
const env = { HOME: "/home/ann", MYSOCK: "/run/x/agent" };

/** Lines as `ssh -G` prints them (OpenSSH 9.2). */
function sshG(...lines: string[]): string {
  return ["user pi", "hostname pi.local", "port 22", "identitiesonly no", ...lines, ""].join("\n");
}

describe("interpretSshConfig", () => {
  test("takes over what ssh says", () => {
    const text = sshG(
      "identityfile ~/.ssh/my key",
      "identityfile /keys/%u@%h:%p%%",
      "identityfile ${MYSOCK}.key",
      "hostkeyalias Zed",
      "userknownhostsfile /home/ann/.ssh/known_hosts ~/.ssh/more",
      "globalknownhostsfile /etc/ssh/ssh_known_hosts",
      "hashknownhosts yes",
      "revokedhostkeys /etc/revoked",
    );
    expect(interpretSshConfig(text, config, env)).toEqual({
      hostname: "pi.local",
      user: "pi",
      port: 22,
      portIsExplicit: false,
      identityFiles: [
        "/home/ann/.ssh/my key",
        `/keys/${userInfo().username}@pi.local:22%`,
        "/run/x/agent.key",
      ],
      identityFilesConfigured: false,
      identitiesOnly: false,
      identityAgent: null,
      hostKeyAlias: "zed",
      knownHostsFiles: ["/home/ann/.ssh/known_hosts", "/home/ann/.ssh/more", "/etc/ssh/ssh_known_hosts"],
      ownKnownHostsFile: "/home/ann/.ssh/known_hosts",
      hashKnownHosts: true,
      knownAs: [],
      revokedHostKeys: "/etc/revoked",
      ciphers: null,
      sshConfigRead: true,
    });
  });

  test("lets the cache's own configuration win", () => {
    const text = sshG("identityfile ~/.ssh/id_rsa", "identityagent none", "userknownhostsfile /kh");
    const own = {
      ...config,
      user: "bob",
      port: 22,
      identityFiles: ["~/k"],
      identityAgent: "~/agent.sock",
      knownHosts: ["/own/known_hosts"],
    };
    expect(interpretSshConfig(text, own, env)).toMatchObject({
      user: "bob",
      portIsExplicit: true,
      identityFiles: ["/home/ann/k"],
      identityFilesConfigured: true,
      identityAgent: "/home/ann/agent.sock",
      knownHostsFiles: ["/own/known_hosts"],
      ownKnownHostsFile: "/own/known_hosts",
    });
  });

  test("a port that ssh_config chose is explicit", () => {
    const text = "user pi\nhostname pi.local\nport 2222\n";
    expect(interpretSshConfig(text, config, env)).toMatchObject({ port: 2222, portIsExplicit: true });
  });

  test.each([
    ["none", "none"],
    ["SSH_AUTH_SOCK", null],
    ["$MYSOCK", "/run/x/agent"],
    ["$UNSET", null],
    ["~/x.sock", "/home/ann/x.sock"],
    ["/run/%i.sock", `/run/${userInfo().uid}.sock`],
  ])("IdentityAgent %s", (value, expected) => {
    const settings = interpretSshConfig(sshG(`identityagent ${value}`), config, env);
    expect(settings.identityAgent).toBe(expected);
  });

  test("files with spaces in their names, which ssh -G prints without quotes", () => {
    const text = sshG(
      "userknownhostsfile /home/ann/my keys/known hosts ~/more of them %d/.ssh/known_hosts ${HOME}/x",
      "globalknownhostsfile /etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2",
    );
    expect(interpretSshConfig(text, config, env).knownHostsFiles).toEqual([
      "/home/ann/my keys/known hosts",
      "/home/ann/more of them",
      "/home/ann/.ssh/known_hosts",
      "/home/ann/x",
      "/etc/ssh/ssh_known_hosts",
      "/etc/ssh/ssh_known_hosts2",
    ]);
  });

  test.each([
    ["FE80::AB%Eth0", "fe80::ab%Eth0"],
    ["RaspberryPi.Local", "raspberrypi.local"],
  ])("the host %s is looked for as %s", (hostname, expected) => {
    expect(interpretSshConfig(`hostname ${hostname}\n`, config, env).hostname).toBe(expected);
  });

  test("files called none are no files", () => {
    const text = sshG("identityfile none", "userknownhostsfile none", "revokedhostkeys none");
    expect(interpretSshConfig(text, config, env)).toMatchObject({
      identityFiles: [],
      knownHostsFiles: [],
      ownKnownHostsFile: null,
      knownAs: [],
      revokedHostKeys: null,
    });
  });

  test.each(["proxyjump me@gate:33", "proxycommand nc %h %p"])("refuses %s", (line) => {
    expect(() => interpretSshConfig(sshG(line), config, env)).toThrow(
      expect.objectContaining({ code: "proxy-unsupported", message: expect.stringContaining("Pi.local") }),
    );
  });

  test.each(["proxyjump none", "proxycommand none"])("accepts %s", (line) => {
    expect(interpretSshConfig(sshG(line), config, env).hostname).toBe("pi.local");
  });

  test("without ssh the host is taken as written, in lower case, and the rest is as ssh has it by default", () => {
    expect(interpretSshConfig(null, config, env)).toMatchObject({
      hostname: "pi.local",
      user: userInfo().username,
      port: 22,
      portIsExplicit: false,
      identityFiles: ["/home/ann/.ssh/id_ed25519", "/home/ann/.ssh/id_ecdsa", "/home/ann/.ssh/id_rsa"],
      sshConfigRead: false,
    });
  });
});
