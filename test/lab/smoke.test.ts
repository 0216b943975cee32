// The lab itself: that its machines are what the other tests take them for, and that nothing of it stays behind.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Lab, type NixVersion } from "./lab.js";
import { CarrierWatch } from "./carrier-watch.js";

const build = (what: string, salt: string): string =>
  `nix-build --no-out-link /opt/nix-tether/test/lab/closure.nix -A ${what} --argstr salt ${salt}`;

describe.each<NixVersion>(["2.8", "2.26", "2.34"])("the lab with Nix %s", (nix) => {
  let lab: Lab;

  beforeAll(async () => {
    lab = await Lab.up({ nix });
  });

  afterAll(async () => {
    await lab.down();
    expect(await Lab.leftovers()).toBe("");
  });

  it("boots both machines without a failed unit", async () => {
    for (const host of ["laptop", "pi"] as const) {
      expect((await lab.exec(host, "systemctl --failed --no-legend")).stdout).toBe("");
    }
    const { stdout } = await lab.user("laptop", "dev", "systemctl --user is-system-running --wait");
    expect(stdout.trim()).toBe("running");
  });

  it("resolves pi.local by multicast", async () => {
    const { stdout } = await lab.exec("laptop", "avahi-resolve -4 -n pi.local");
    expect(stdout).toContain("10.77.0.1");
  });

  it("lets the user in at the Pi with the agent's key and the known host key", async () => {
    const ssh = "ssh -o BatchMode=yes -o HostKeyAlias=pi.local pi@10.77.0.1 'hostname; nix --version'";
    const { stdout } = await lab.user("laptop", "dev", ssh);
    expect(stdout.split("\n")[0]).toBe("pi");
    expect(stdout).toContain(`(Nix) ${nix}.`);
  });

  it("builds through the nix-daemon on both, at the version asked for", async () => {
    for (const [host, user] of [
      ["laptop", "dev"],
      ["pi", "pi"],
    ] as const) {
      const { stdout } = await lab.user(host, user, build("one", "smoke"));
      const path = stdout.trim();
      expect(path).toMatch(/^\/nix\/store\/.*-one-smoke$/);
      const { stdout: info } = await lab.user(host, user, `nix path-info --sigs ${path}`);
      expect(info).toContain(lab.publicKey(host).split(":")[0]);
      // The daemon's own word for its version, and not the client's.
      const ping = `nix store ${nix === "2.34" ? "info" : "ping"} --store daemon 2>&1`;
      expect((await lab.user(host, user, ping)).stdout).toContain(`Version: ${nix}.`);
    }
  });

  it("tells NetworkManager of a pulled cable", async () => {
    const watch = await CarrierWatch.start(lab);
    try {
      for (const state of ["down", "up"] as const) {
        const before = Date.now();
        await lab.cable("laptop", state);
        const at = await watch.next(state === "up");
        expect(at - before).toBeLessThan(2_000);
      }
    } finally {
      await watch.stop();
    }
    await lab.waitFor("the laptop's address", async () => {
      const { stdout } = await lab.exec("laptop", "ping -c 1 -W 1 10.77.0.1");
      return stdout.includes("1 received");
    });
  });
});
