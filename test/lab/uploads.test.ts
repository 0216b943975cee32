// Uploads as they are meant: the hook runs as root's nix-daemon's, nobody is trusted, and what was built while the Pi was
// away is there after its return.

import { describe, expect, it } from "vitest";
import { eventually } from "../support/eventually.js";
import type { Lab, NixVersion } from "./lab.js";
import { build, copiedFrom } from "./store.js";
import { onePi, type Tether } from "./tether.js";
import { useTetheredLab } from "./tethered-lab.js";
import { installTimedHook, quantiles, takeHookTimes } from "./timed-hook.js";

const count = 20;
const expression = `{ salt, count ? ${count} }: builtins.genList (n: derivation {
  name = "sent-\${salt}-\${toString n}";
  system = builtins.currentSystem;
  builder = "/bin/sh";
  args = [ "-c" "echo $name >$out" ];
}) count`;

const config = `${onePi}
[uploads]
to = ["pi"]
signing-key = "~/laptop.key"
`;

describe.each<[NixVersion, number]>([
  ["2.8", count],
  ["2.34", 200],
])("with Nix %s", (nix, many) => {
  let lab: Lab;
  let tether: Tether;

  const prepare = async (fresh: Lab): Promise<void> => {
    await fresh.user(
      "laptop",
      "dev",
      `cat >many.nix <<'NIX'\n${expression}\nNIX
      nix-store --generate-binary-cache-key laptop-1 laptop.key laptop.pub; chmod 600 laptop.key`,
    );
    const { stdout: key } = await fresh.user("laptop", "dev", "cat laptop.pub");
    const restart = "systemctl stop nix-daemon.service; systemctl start nix-daemon.socket";
    await fresh.exec(
      "pi",
      `echo "extra-trusted-public-keys = ${key.trim()}" >>/etc/nix/nix.conf; ${restart}`,
    );
    await installTimedHook(fresh);
  };
  useTetheredLab({ nix, config, prepare }, (up) => ({ lab, tether } = up));

  const title = `brings ${many} builds to the Pi that were made while it was away, whatever was collected meanwhile`;
  it(title, { timeout: 400_000 }, async () => {
    await lab.cable("pi", "down");
    await tether.waitListed([]);
    const { stdout } = await tether.shell(
      `nix-build --no-out-link many.nix --argstr salt away --arg count ${many}`,
      { timeoutMs: 240_000 },
    );
    const built = stdout.trim().split("\n");
    expect(built).toHaveLength(many);
    const times = await takeHookTimes(lab);
    expect(times).toHaveLength(many);
    const real = quantiles(times.map((time) => time.real));
    const cpu = quantiles(times.map((time) => time.cpu));
    process.stderr.write(`hook under Nix ${nix}: ${real.join(", ")} ms; processor ${cpu.join(", ")} ms\n`);
    // How often the machine was busy with something else is no matter of the hook's.
    expect(cpu[0]).toBeLessThan(20);
    const waiting = async () => (await tether.status()).uploads.waiting === many;
    await eventually("all are queued", waiting, 10_000).catch(async () => {
      // No promise is broken: what no notice told of is found by the look of each minute. Why there was none is of interest.
      const { stdout: left } = await tether.shell("ls ~/.local/state/nix-tether/spool/*", { mayFail: true });
      process.stderr.write(`10 s later: ${JSON.stringify((await tether.status()).uploads)}\n${left}\n`);
      await eventually("all are queued by the next look", waiting, 65_000);
    });
    await lab.exec("laptop", "nix-collect-garbage");
    await tether.shell(`nix-store --check-validity ${built.join(" ")}`);
    await lab.cable("pi", "up");
    await eventually("all have arrived", async () => (await tether.status()).uploads.waiting === 0, 120_000);
    expect(await tether.status()).toMatchObject({ uploads: { waiting: 0, uploaded: many, failed: 0 } });
    await lab.exec("pi", `nix-store --verify-path ${built.join(" ")}`);
    const hashes = `nix-store -q --hash ${built.join(" ")}`;
    expect((await lab.exec("pi", hashes)).stdout).toBe((await lab.exec("laptop", hashes)).stdout);
    const roots =
      "ls -A /home/dev/.local/state/nix-tether/spool/roots /nix/var/nix/gcroots/auto/nix-tether-1500";
    await lab.exec("laptop", "nix-collect-garbage");
    expect((await lab.exec("laptop", roots)).stdout).not.toContain("-sent-");
    const { stdout: left } = await lab.exec("laptop", "ls /nix/store");
    expect(left).not.toMatch(/-sent-away-\d+$/m);
  });

  it("brings what was queued by hand, and says when it has arrived", async () => {
    const expr = `builtins.toFile "by-hand" "${nix}"`;
    const { stdout } = await tether.shell(
      `path=$(nix-instantiate --eval --read-write-mode -E '${expr}' | tr -d '"')
      echo $path; nix-tether enqueue --wait $path`,
    );
    const [path = "", said] = stdout.trim().split("\n");
    expect(said).toBe("1 of 1 path uploaded");
    await lab.exec("pi", `nix-store --verify-path ${path}`);
  });

  it("brings what is built without a hook where the store is watched, and not what was fetched", async () => {
    await lab.exec(
      "laptop",
      "sed -i /post-build-hook/d /etc/nix/nix.conf; systemctl stop nix-daemon.service",
    );
    await tether.configure(`${config}source = "watch"\nskip = ["sent-watched-1"]\n`);
    await tether.waitListed(["pi"]);
    const { path: fetched } = await build(lab, "pi", "one", `watched-${nix}`);
    const { log } = await build(lab, "laptop", "one", `watched-${nix}`);
    expect([...copiedFrom(log, "pi")]).toEqual([fetched]);
    // Whoever brings it back must have taken it for built.
    // Nor does the Pi hold it for us.
    await tether.shell("nix-tether pause");
    await lab.exec("pi", `nix-store --delete ${fetched}`);
    const { stdout } = await tether.shell("nix-build --no-out-link many.nix --argstr salt watched");
    await tether.shell("nix-tether resume");
    const built = stdout.trim().split("\n");
    await eventually(
      "all but one have arrived",
      async () => (await tether.status()).uploads.uploaded >= count - 1,
      60_000,
    );
    expect((await tether.status()).uploads).toMatchObject({ waiting: 0, uploaded: count - 1, skipped: 1 });
    const { stdout: there } = await lab.exec("pi", "ls /nix/store");
    expect(built.filter((path) => there.includes(path.slice("/nix/store/".length)))).toEqual(
      built.filter((path) => !path.endsWith("-sent-watched-1")),
    );
    expect(there).not.toContain(fetched.slice("/nix/store/".length));
  });

  // No matter of Nix's version.
  if (nix !== "2.34") return;
  it("waits while NetworkManager calls the connection metered, but for what is sent by --now", async () => {
    // It calls the connection so that has the default route.
    const connection = (settings: string): Promise<unknown> =>
      lab.exec("laptop", `nmcli connection modify lab ${settings}; nmcli device reapply eth0`);
    const add = async (name: string): Promise<string> => {
      const { stdout } = await tether.shell(`echo ${name} >${name}; nix-store --add ${name}`);
      return stdout.trim();
    };
    const onPi = (path: string): Promise<{ code: number }> =>
      lab.exec("pi", `nix-store --check-validity ${path}`, { mayFail: true });
    await connection("ipv4.gateway 10.77.0.1 connection.metered yes");
    const [later, now] = [await add("metered-later"), await add("metered-now")];
    await tether.shell(`nix-tether enqueue ${later}`);
    // To apply them may cost the link's address a moment.
    const told = async (): Promise<string> =>
      (await tether.shell("nix-tether status; nix-tether queue list", { mayFail: true })).stdout;
    await eventually("it is held", async () => (await told()).includes("pi: held back\n"), 20_000);
    expect(await told()).toMatch(
      /uploads: .*1 path \(\d+ B\) held back: on a metered connection; `uploads.on-metered = true` allows it\n/,
    );

    const { stdout: said } = await tether.shell(`nix-tether enqueue --wait --now ${now}`);
    expect(said).toBe("1 of 1 path uploaded\n");
    expect(await onPi(now)).toMatchObject({ code: 0 });
    expect(await onPi(later)).toMatchObject({ code: 1 });

    await connection("ipv4.gateway '' connection.metered unknown");
    await eventually("it has arrived", async () => (await onPi(later)).code === 0, 20_000);
  });
});
