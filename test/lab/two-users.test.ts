// Two users of one laptop, each with a daemon: neither gets in the other's way, and each cache answers its own user and root.

import { beforeAll, describe, expect, it } from "vitest";
import type { Lab } from "./lab.js";
import { build, copiedFrom } from "./store.js";
import { onePi, type Tether } from "./tether.js";
import { useTetheredLab } from "./tethered-lab.js";

const ownPort = 37_600;
const devs = "http://127.0.0.1:37515/pi";
const alices = `http://127.0.0.1:${ownPort}/pi`;

/** A user whose manager runs, with dev's way to the Pi. */
const addAlice = `
useradd -m -s /bin/bash -u 1501 -U -G nix-users alice
cp -r /home/dev/.ssh /home/alice/
mkdir -p /home/alice/.config/nix /home/alice/.config/nix-tether
cp /home/dev/.config/nix/nix.conf /home/alice/.config/nix/
cat >/home/alice/.config/nix-tether/config.toml <<'TOML'
${onePi}
identity-file = "~/.ssh/lab"
TOML
chown -R alice:alice /home/alice
loginctl enable-linger alice
until [ -S /run/user/1501/systemd/private ]; do sleep 0.1; done`;

describe("two users with a daemon each", () => {
  let lab: Lab;
  let tether: Tether;

  useTetheredLab({ nix: "2.8" }, (up) => ({ lab, tether } = up));

  beforeAll(async () => {
    await lab.exec("laptop", addAlice);
    await alice("systemctl --user enable --now nix-tether.socket nix-tether.service || true");
  });

  const alice = async (commands: string): Promise<string> =>
    (await lab.user("laptop", "alice", commands)).stdout;
  const override = (): Promise<string> => alice("cat ~/.config/nix/nix-tether.conf");

  /** What a cache answers to a user, root among them. */
  async function answerTo(user: string, url: string): Promise<string> {
    const ask = `curl --silent --output /dev/null --write-out '%{http_code}' ${url}/nix-cache-info`;
    const { stdout } = user === "root" ? await lab.exec("laptop", ask) : await lab.user("laptop", user, ask);
    return stdout;
  }

  it("says whose the port is, and leaves that daemon alone", async () => {
    const { pid } = await tether.status();
    const status = await alice(
      "systemctl --user show -p ActiveState -p StatusText nix-tether.service; nix-tether status || true",
    );
    expect(status).toContain("ActiveState=active");
    expect(status).toMatch(/StatusText=nothing is listed: port 37515 .* in use by a process of the user dev/);
    expect(status).toMatch(/! port 37515 on 127.0.0.1 is in use by a process of the user dev/);
    expect(await override()).not.toContain("http");

    expect((await tether.status()).pid).toBe(pid);
    const { path } = await build(lab, "pi", "one", "undisturbed");
    const { log } = await build(lab, "laptop", "one", "undisturbed");
    expect([...copiedFrom(log, "pi")]).toEqual([path]);
  });

  it("answers its user and root, and nobody else", async () => {
    expect(await answerTo("dev", devs)).toBe("200");
    expect(await answerTo("root", devs)).toBe("200");
    expect(await answerTo("alice", devs)).toBe("403");
    // With a store of their own, the user's own process asks, and not root's.
    const { path } = await build(lab, "pi", "one", "not-for-alice");
    const info = `nix path-info --store '${devs}' ${path}`;
    expect((await tether.shell(info)).stdout.trim()).toBe(path);
    expect((await lab.user("laptop", "alice", info, { mayFail: true })).code).not.toBe(0);
  });

  it("works for both, each on a port of their own", async () => {
    await lab.exec(
      "laptop",
      `for n in {0..15}; do echo "extra-trusted-substituters = ${alices}/$n?priority=30"; done >>/etc/nix/nix.conf
      systemctl restart nix-daemon.service`,
    );
    const units = "~/.config/systemd/user";
    await alice(`
      sed -i '1i [gateway]\\nport = ${ownPort}\\n' ~/.config/nix-tether/config.toml
      for unit in nix-tether.socket nix-tether-away.socket; do
        mkdir -p ${units}/$unit.d
        printf '[Socket]\\nListenStream=\\nListenStream=127.0.0.1:${ownPort}\\n' >${units}/$unit.d/port.conf
      done
      systemctl --user daemon-reload
      systemctl --user restart nix-tether.service`);
    await lab.waitFor(
      "alice's list",
      async () => (await override()).includes(`${alices}/0?priority=30`),
      30_000,
    );
    expect((await tether.override()).urls).toEqual([expect.stringContaining(":37515/pi/")]);

    for (const [user, port] of [
      ["dev", 37_515],
      ["alice", ownPort],
    ] as const) {
      const { path } = await build(lab, "pi", "one", `for-${user}`);
      const fetch = `nix-build --no-out-link /opt/nix-tether/test/lab/closure.nix -A one --argstr salt for-${user}`;
      const { stderr } = await lab.user("laptop", user, fetch);
      expect(stderr).toContain(`copying path '${path}' from 'http://127.0.0.1:${port}/pi`);
    }
    expect(await answerTo("alice", alices)).toBe("200");
    expect(await answerTo("dev", alices)).toBe("403");
  });
});
