// What the doctor says where it needs a whole machine: systemd, multicast, root's nix-daemon. And whether who does no more
// than it says gets from nothing to a cache that is used.

import { describe, expect, it } from "vitest";
import type { Result } from "../../src/doctor/check.js";
import type { Lab } from "./lab.js";
import { expectFetched } from "./store.js";
import type { Tether } from "./tether.js";
import { onePi } from "./tether.js";
import { useTetheredLab } from "./tethered-lab.js";

let lab: Lab;
let tether: Tether;

interface Diagnosis {
  readonly code: number;
  readonly checks: readonly Result[];
  /** What was found, a line for each. */
  of(id: Result["id"]): string;
}

async function diagnose(env = ""): Promise<Diagnosis> {
  const { code, stdout, stderr } = await tether.shell(`${env} nix-tether doctor --json`, { mayFail: true });
  expect(stderr).toBe("");
  const { checks } = JSON.parse(stdout) as { checks: Result[] };
  const lineOf = ({ mark, text, remedy }: Result): string =>
    `${mark}: ${text}${remedy === null ? "" : ` -> ${remedy}`}`;
  return {
    code,
    checks,
    of: (id) =>
      checks
        .filter((one) => one.id === id)
        .map(lineOf)
        .join("\n"),
  };
}

const root = (commands: string): Promise<unknown> => lab.exec("laptop", commands);
const restartNix = "systemctl restart nix-daemon.service";

describe("with Nix 2.34", () => {
  useTetheredLab({ nix: "2.34" }, (up) => ({ lab, tether } = up));

  it("says line by line that all is well", async () => {
    await expectFetched(lab, tether, "signed");
    const { code, stdout } = await tether.shell("LANG=C.UTF-8 nix-tether doctor");
    const masked = stdout
      .replaceAll(/SHA256:[\w+/]+/g, "SHA256:…")
      // One address or both, as they come.
      .replaceAll(/(?:(?:^|, |(?<= ))(?:10\.77\.0\.1|fe80::[\da-f:]+%eth0)(?: port 22)?)+/gm, "ADDRESSES")
      .replace(/2\.34\.\d+(.*)2\.34\.\d+/, "2.34.x$12.34.x")
      .replace(/Nix 2\.34\.\d+/, "Nix 2.34.x")
      .replace(/process \d+/, "process 1")
      .replace(/all of \d+ paths/, "all of 2 paths");
    expect(masked).toBe(
      `✓ Configuration: /home/dev/.config/nix-tether/config.toml: the cache pi
✓ ssh's settings: pi@pi.local port 22
✓ Keys: SHA256:… (agent: user)
✓ Name: pi.local is ADDRESSES, by multicast DNS
✓ sshd: answers at ADDRESSES
✓ Host key: ED25519 SHA256:… is known
✓ Login: pi is let in with SHA256:… (agent: user)
✓ Transport: socket: sshd forwards to /nix/var/nix/daemon-socket/socket
✓ Far nix-daemon: Nix 2.34.x, protocol 1.38; it does not trust this login
✓ Your nix.conf: /home/dev/.config/nix/nix.conf includes /home/dev/.config/nix/nix-tether.conf, and no later line undoes it
✓ Nix: 2.34.x, with a nix-daemon 2.34.x
✓ Nix's settings: none that keeps a cache from being used
✓ URLs: root has allowed all 16 of them
✓ Public keys: Nix knows pi-1
✓ Signatures: all of 2 paths looked at are signed by pi-1
✓ Daemon: runs as process 1
✓ Its state: online at ADDRESSES, and Nix is told of it
✓ Gateway: answers at 127.0.0.1:37515
– Hook: not needed: nothing is uploaded (uploads.to is empty)
✓ Lingering: on: the daemon runs whether you are logged in or not
✓ System's nix.conf: takes in no file that others than root can write
All is well.
`,
    );
    expect(code).toBe(0);
  });

  it("tells a Pi that is away from everything else", async () => {
    await lab.cable("pi", "down");
    await tether.waitListed([]);
    const { code, of } = await diagnose();
    expect(code).toBe(1);
    expect(of("name")).toMatch(
      /^failure: pi.local does not answer on this network -> Switch the machine on.*avahi-resolve/,
    );
    expect(of("login")).toBe("skipped: waits for: Name");
    expect(of("state")).toMatch(/^ok: the daemon says the same: /);
    expect(of("urls")).toMatch(/^ok/);
    await lab.cable("pi", "up");
    await tether.waitListed(["pi"]);
  });

  it("finds an agent that only the shell knows of, and that the daemon gets no further without it", async () => {
    await tether.shell(
      `systemctl --user stop ssh-agent.service; systemctl --user unset-environment SSH_AUTH_SOCK
      eval $(ssh-agent -a /tmp/agent.sock) >/dev/null; echo $SSH_AGENT_PID >/tmp/agent.pid; ssh-add -q ~/.ssh/lab; systemctl --user restart nix-tether`,
    );
    await tether.waitWarning(/^agent-missing$/);
    const { code, of } = await diagnose("SSH_AUTH_SOCK=/tmp/agent.sock");
    expect(code).toBe(1);
    expect(of("agent")).toMatch(
      /^warning: SHA256:.*only this shell knows of the agent at \/tmp\/agent.sock.*import-environment SSH_AUTH_SOCK/,
    );
    expect(of("login")).toMatch(/^ok: pi is let in/);
    expect(of("state")).toMatch(
      /^failure: the daemon has not reached it, other than this command: no ssh-agent/,
    );

    const [, command = ""] = /`(systemctl --user import-environment \w+)`/.exec(of("agent")) ?? [];
    await tether.shell(`SSH_AUTH_SOCK=/tmp/agent.sock ${command}; systemctl --user restart nix-tether`);
    await tether.waitListed(["pi"]);
    expect((await diagnose("SSH_AUTH_SOCK=/tmp/agent.sock")).of("agent")).toMatch(/^ok: /);
    await tether.shell(
      `kill $(cat /tmp/agent.pid); systemctl --user start ssh-agent.service
      systemctl --user restart nix-tether`,
    );
    await tether.waitListed(["pi"]);
  });

  it("reads what root has done to the nix-daemon: a proxy, settings it has not read, a user it trusts for nothing", async () => {
    const dropIn = "/etc/systemd/system/nix-daemon.service.d/proxy.conf";
    await root(
      `mkdir -p $(dirname ${dropIn}); printf '[Service]\\nEnvironment=http_proxy=http://proxy:3128\\n' >${dropIn}
      systemctl daemon-reload; ${restartNix}`,
    );
    expect((await diagnose()).of("nix-settings")).toMatch(/^failure: Nix fetches through a proxy/);
    await root(`rm ${dropIn}; systemctl daemon-reload; ${restartNix}; sleep 1.1`);

    await root("sed -i '1i trusted-users = root dev' /etc/nix/nix.conf");
    const unread = await diagnose();
    expect(unread.of("system-conf")).toMatch(
      /^warning: .*nix.conf was changed after.*`sudo systemctl restart nix-daemon`/,
    );
    // The one that runs does not know of it.
    expect(unread.of("urls")).toBe("ok: root has allowed all 16 of them");
    await root(restartNix);
    const trusted = await diagnose();
    expect(trusted.of("urls")).toMatch(
      /^warning: root has allowed all 16 of them; but you are .*trusted-users.* -> Take/,
    );
    expect(trusted.code).toBe(0);
    await root(`sed -i /^trusted-users/d /etc/nix/nix.conf; ${restartNix}`);
  });

  it("follows what is built to its upload: the hook, whom it is for, and who signs", async () => {
    await tether.configure(`[uploads]\nto = ["pi"]\n${onePi}`);
    await tether.waitListed(["pi"]);
    expect((await diagnose()).of("hook")).toMatch(/^failure: Nix runs no post-build hook/);
    await root(`echo "post-build-hook = $(nix-tether hook-script)" >>/etc/nix/nix.conf; ${restartNix}`);
    const unnamed = await diagnose();
    expect(unnamed.of("hook")).toMatch(/^failure: .*hook.conf does not name you/);
    const [, command = ""] = /`([^`]+)`/.exec(unnamed.of("hook")) ?? [];
    await root(command.replaceAll("sudo ", ""));
    expect((await diagnose()).of("hook")).toMatch(/^ok: Nix runs .*post-build-hook.sh, for dev$/);

    expect((await diagnose()).of("far-nix")).toMatch(/^ok: /);
    await root(`sed -i /^secret-key-files/d /etc/nix/nix.conf; ${restartNix}`);
    expect((await diagnose()).of("far-nix")).toMatch(/^warning: .*nothing here signs.*uploads.signing-key/);
    await root(`sed -i /^post-build-hook/d /etc/nix/nix.conf; ${restartNix}`);
    await tether.configure(onePi);
    await tether.waitListed(["pi"]);
  });

  it("leads from nothing to a cache that is used, one thing after the other", async () => {
    await tether.shell(
      `systemctl --user disable --now nix-tether.socket nix-tether.service; nix-tether unlist
      rm ~/.config/nix/nix.conf ~/.config/nix-tether/config.toml ~/.ssh/known_hosts`,
    );
    await root(`sed -i '/^trusted-/d' /etc/nix/nix.conf; ${restartNix}`);
    const done: string[] = [];
    for (;;) {
      const { code, checks } = await diagnose();
      const wrong = checks.find(({ mark }) => mark === "failure");
      if (wrong === undefined) {
        expect(code).toBe(0);
        break;
      }
      expect(done).not.toContain(wrong.id);
      done.push(wrong.id);
      await follow(wrong);
    }
    expect(done).toEqual(["config", "host-key", "include", "urls", "keys", "daemon"]);
    await expectFetched(lab, tether, "led");
  });

  it("says what ends with the last session", async () => {
    await root("loginctl disable-linger dev; sleep 2");
    const { of } = await diagnose();
    expect(of("lingering")).toMatch(/^warning: off: .*`loginctl enable-linger dev`/);
    expect(of("daemon")).toMatch(/^failure: /);
  });
});

/** Does what the doctor says, as far as it is a command; what a person knows is filled in. */
async function follow({ id, remedy }: Result): Promise<void> {
  const said = remedy ?? "";
  const [, command = ""] = /`([^`]+)`/.exec(said) ?? [];
  const asRoot = command.replaceAll("sudo ", "");
  const deeds: Partial<Record<Result["id"], () => Promise<unknown>>> = {
    config: () => tether.shell(`cat >~/.config/nix-tether/config.toml <<'TOML'\n${onePi}\nTOML`),
    // At a terminal, by somebody who has compared.
    "host-key": () => tether.shell(`echo yes | script -qec '${command}' /dev/null`),
    include: () => {
      const [, file = "", line = ""] = /end of (\S+): (.*)$/.exec(said) ?? [];
      return tether.shell(`echo '${line}' >>${file}`);
    },
    urls: () => root(asRoot),
    keys: () => root(asRoot.replace("KEY", lab.publicKey("pi"))),
    daemon: async () => {
      await tether.shell(command);
      await tether.waitListed(["pi"]);
    },
  };
  const deed = deeds[id];
  if (deed === undefined) throw new Error(`${id}: ${said}`);
  await deed();
}
