// What the NixOS modules set up, on two machines: their units, sshd's lines and Nix's settings as evaluated, put into Debian.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { stringify } from "smol-toml";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Lab, labFolder } from "./lab.js";
import { build, copiedFrom, realise } from "./store.js";
import { Tether } from "./tether.js";

interface Service {
  readonly script: string;
  readonly serviceConfig: Record<string, unknown>;
  readonly environment: Record<string, string>;
  readonly conditions: string | string[] | null;
  readonly after: string[];
}

interface Evaluated {
  readonly laptop: {
    full: { settings: Record<string, string | string[]>; etc: Record<string, string> };
  };
  readonly pi: {
    full: {
      services: Record<string, Service>;
      sshd: string;
      keys: string[];
      gc: { config: Record<string, unknown> };
    };
  };
}

function evaluate(): Evaluated {
  const folder = mkdtempSync(join(tmpdir(), "nix-tether-nixos-"));
  const env = { ...process.env, HOME: folder, NIX_STATE_DIR: folder, NIX_REMOTE: "dummy://" };
  const args = ["--eval", "--strict", "--json", resolve("test/nix"), "--arg", "nixpkgs", "null"];
  try {
    return JSON.parse(execFileSync("nix-instantiate", args, { env, encoding: "utf8" })) as Evaluated;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Writes a file; `text` may not contain a line that is END. */
const write = (file: string, text: string): string =>
  `mkdir -p "$(dirname ${file})"; cat >${file} <<'END'\n${text}\nEND\n`;

const gcConfig = "/etc/nix-tether-static-cache.toml";

/** A service as NixOS would write it, its script in a file beside; one without a script runs the program. */
function unit(name: string, service: Service): string {
  const exec =
    service.script === ""
      ? `/usr/local/bin/nix-tether gc cache --config ${gcConfig}`
      : `/bin/bash /usr/local/lib/${name}`;
  const lines = (key: string, value: unknown): string =>
    [value]
      .flat()
      .map((one) => `${key}=${String(one)}\n`)
      .join("");
  const config = Object.entries(service.serviceConfig).map(([key, value]) => lines(key, value));
  const environment = Object.entries(service.environment).map((pair) => lines("Environment", pair.join("=")));
  const conditions = service.conditions === null ? "" : lines("ConditionPathExists", service.conditions);
  return (
    write(`/usr/local/lib/${name}`, `set -e\n${service.script}`) +
    write(
      `/etc/systemd/system/${name}.service`,
      `[Unit]\nAfter=${service.after.join(" ")}\n${conditions}
[Service]\nExecStart=${exec}\n${environment.join("")}${config.join("")}`,
    )
  );
}

describe("what the NixOS modules set up", () => {
  const { laptop, pi } = evaluate();
  let lab: Lab;
  let tether: Tether;
  let early = "";

  const onPi = async (commands: string): Promise<string> => (await lab.exec("pi", commands)).stdout;
  const login = (command: string, options = ""): Promise<{ stdout: string; stderr: string }> =>
    lab.user(
      "laptop",
      "dev",
      `ssh -o HostKeyAlias=pi.local ${options} nix-tether@10.77.0.1 ${command} </dev/null`,
      { mayFail: true },
    );

  beforeAll(async () => {
    lab = await Lab.up({ nix: "2.34" });
    await onPi("sed -i /secret-key-files/d /etc/nix/nix.conf; systemctl stop nix-daemon.service");
    early = (await build(lab, "pi", "one", "before-the-key")).path;

    const key = readFileSync(`${labFolder}/keys/user.pub`, "utf8").trim();
    const keys = pi.full.keys.map((line) => line.replace("ssh-ed25519 AAAA ada@laptop", key));
    await onPi(
      `mkdir -p /pkgs/nix; ln -s /usr/local/bin /pkgs/nix/bin
      useradd --system --shell /bin/bash --groups nix-users nix-tether
      useradd --system ada
      ${write(gcConfig, stringify(pi.full.gc.config))}
      ${write("/etc/ssh/authorized_keys.d/nix-tether", keys.join("\n"))}
      ${write("/etc/ssh/sshd_config.d/nix-tether.conf", `AuthorizedKeysFile %h/.ssh/authorized_keys /etc/ssh/authorized_keys.d/%u\n${pi.full.sshd}`)}
      systemctl restart ssh.service
      ${Object.entries(pi.full.services)
        .map(([name, service]) => unit(name, service))
        .join("")}
      echo "secret-key-files = /var/lib/nix-tether/secret-key" >>/etc/nix/nix.conf
      systemctl daemon-reload; systemctl stop nix-daemon.service
      systemctl start nix-tether-key nix-tether-sign nix-tether-announce`,
    );
  });

  afterAll(() => lab?.down());

  it("makes a signing key, once", async () => {
    const look = "cd /var/lib/nix-tether; stat -c '%a %U %n' *-key; cat public-key";
    const first = await onPi(look);
    expect(first).toMatch(/^644 root public-key\n600 root secret-key\nshelf-2:[A-Za-z0-9+/]{43}=$/);
    expect(await onPi(`systemctl start nix-tether-key; ${look}`)).toBe(first);
  });

  it("signs what was there before", async () => {
    await lab.waitFor(
      "the end of signing",
      async () => (await lab.exec("pi", "test -e /var/lib/nix-tether/signed", { mayFail: true })).code === 0,
    );
    expect(await onPi(`nix path-info --sigs ${early}`)).toContain("shelf-2:");
  });

  it("announces the store with its key's fingerprint", async () => {
    const fingerprint = (
      await onPi("cut -d: -f2 /var/lib/nix-tether/public-key | base64 -d | sha256sum")
    ).slice(0, 64);
    const found = await lab.waitFor("the announcement", async () => {
      const { stdout } = await lab.exec("laptop", "avahi-browse -rpt _nix-tether._tcp");
      return stdout.includes('"key=') && stdout;
    });
    expect(found).toMatch(/;pi;_nix-tether\._tcp;/);
    expect(found).toContain(`"key=shelf-2"`);
    expect(found).toContain(`"fingerprint=sha256:${fingerprint}"`);
  });

  it("lets the login do nothing but talk to the nix-daemon", async () => {
    const command = await login("id");
    expect(command.stdout).not.toContain("uid=");
    const tunnel = await login("", "-W 127.0.0.1:22");
    expect(tunnel.stderr).toMatch(/prohibited|refused|failed/);
    expect(tunnel.stdout).not.toContain("SSH-2.0");
    const terminal = await login("", "-tt");
    expect(terminal.stderr).toContain("PTY allocation request failed");
    const socket = await login("", "-o ExitOnForwardFailure=yes -N -R 4444:127.0.0.1:22");
    expect(socket.stderr).toMatch(/forwarding failed/);
    expect((await login("nix-store --version")).stdout).not.toContain("Nix");
  });

  it("removes from the static cache what is old, and nothing that is left needs", async () => {
    const fresh = (await build(lab, "pi", "one", "after-the-key")).path;
    const narinfo = (path: string): string => `${path.slice("/nix/store/".length).slice(0, 32)}.narinfo`;
    const left = await onPi(
      `nix copy --to file:///var/lib/nix-cache ${early} ${fresh}; cd /var/lib/nix-cache
      touch -d '20 days ago' *.narinfo nar/*; touch ${narinfo(fresh)}; chown -R ada .
      systemctl start nix-tether-cache-gc; find . -type f -name '*.narinfo'`,
    );
    expect(left.trim()).toBe(`./${narinfo(fresh)}`);
    await onPi(
      `nix copy --no-check-sigs --from file:///var/lib/nix-cache --to local?root=/tmp/fetched ${fresh}`,
    );
  });

  describe("with a laptop as its module sets it up", () => {
    beforeAll(async () => {
      const { settings, etc } = laptop.full;
      const key = await onPi("cat /var/lib/nix-tether/public-key");
      const conf = Object.entries({ ...settings, "trusted-public-keys": [key] }).map(
        ([name, value]) => `${name} = ${[value].flat().join(" ")}`,
      );
      const hookConf = (etc["nix-tether/hook.conf"] ?? "").replace("ada", "dev").replace(/user = bob\n/, "");
      await lab.exec(
        "laptop",
        `mkdir -p /pkgs/nix-tether/lib; ln -s /opt/nix-tether /pkgs/nix-tether/lib/nix-tether
        sed -i '/^trusted-/d' /etc/nix/nix.conf
        printf '%s\\n' ${conf.map((line) => `'${line}'`).join(" ")} >>/etc/nix/nix.conf
        ${write("/etc/nix-tether/hook.conf", hookConf)}
        printf '#!/bin/sh\\necho "$DRV_PATH" >>/run/chained\\n' >/etc/nix/other-hook; chmod 755 /etc/nix/other-hook
        install -m 600 -o dev /etc/nix/laptop.secret /home/dev/laptop.key
        systemctl stop nix-daemon.service`,
      );
      tether = await Tether.install(
        lab,
        `[caches.pi]
        host = "pi.local"
        service = "_nix-tether._tcp"
        user = "nix-tether"
        [uploads]
        to = ["pi"]
        signing-key = "~/laptop.key"`,
      );
      await tether.waitListed(["pi"]);
    });

    beforeEach(() => tether.showLogOnFailure());

    it("finds the store by its announcement, and reaches it by the one command", async () => {
      expect(await tether.cache()).toMatchObject({ state: "online", transport: "stdio" });
      expect((await tether.status()).warnings).toEqual([]);
    });

    it("fetches what was built before and after the key was made", async () => {
      expect([...copiedFrom((await realise(lab, early)).log, "pi")]).toEqual([early]);
      const { path } = await build(lab, "pi", "one", "after-the-key");
      const { log } = await build(lab, "laptop", "one", "after-the-key");
      expect([...copiedFrom(log, "pi")]).toEqual([path]);
    });

    it("queues what is built here by the hook, runs the chained one too, and sends it", async () => {
      const { path } = await build(lab, "laptop", "one", "for-the-pi");
      expect((await lab.exec("laptop", "cat /run/chained")).stdout).toContain("-one-for-the-pi.drv\n");
      await lab.waitFor(
        "the upload",
        async () =>
          (await lab.user("pi", "pi", `nix-store --check-validity ${path}`, { mayFail: true })).code === 0,
        20_000,
      );
    });
  });
});
