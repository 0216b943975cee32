// `nix-tether build`: the Pi builds for a user who is trusted nowhere, and whatever the Pi does meanwhile, the build here
// succeeds.

import { beforeEach, describe, expect, it } from "vitest";
import type { Lab, NixVersion, Outcome } from "./lab.js";
import type { Tether } from "./tether.js";
import { useTetheredLab } from "./tethered-lab.js";

// Says where it was built, and takes as long as it is told to.
const expression = `{ salt, seconds ? "0", there ? "true" }:
let make = name: seconds: more: derivation ({
  name = "\${name}-\${salt}";
  system = builtins.currentSystem;
  builder = "/bin/sh";
  args = [ "-c" ''
    read -r host </etc/hostname
    [ $host = laptop ] || \${there} || exit 1
    \${if seconds == "0" then "" else "/bin/sleep \${seconds}"}
    echo "\${name} on $host" >$out
  '' ];
} // more);
in make "top" seconds { low = make "low" "0" { }; }
`;

describe.each<NixVersion>(["2.8", "2.34"])("with Nix %s", (nix) => {
  let lab: Lab;
  let tether: Tether;

  useTetheredLab({ nix }, (up) => ({ lab, tether } = up));

  /** Its stdout is what is in the result. */
  const build = async (args: string): Promise<Outcome> => {
    const command = `rm -f result; nix-tether build pi -- --impure -f where.nix ${args}; code=$?; cat result; exit $code`;
    return tether.shell(command, { mayFail: true });
  };

  beforeEach(async () => {
    await tether.shell(`cat >where.nix <<'NIX'\n${expression}\nNIX`);
    for (const host of ["laptop", "pi"] as const) await lab.cable(host, "up");
    await tether.waitListed(["pi"]);
  });

  it("builds on the Pi, and fetches the result from there, without a word of warning", async () => {
    const { code, stdout, stderr } = await build("--argstr salt 010");
    expect({ code, stdout }).toEqual({ code: 0, stdout: "top on pi\n" });
    expect(stderr).toMatch(/^nix-tether: building on pi\n/);
    expect(stderr).not.toMatch(/warning|ignoring|building here/);
    // Only what is asked for was fetched.
    expect([...stderr.matchAll(/copying path '\S+-(\w+-010)' from/g)].map(([, name]) => name)).toEqual([
      "top-010",
    ]);
  });

  it("finds what Nix was told is not there, just before", async () => {
    const asked = "nix --extra-experimental-features nix-command build --impure --dry-run -f where.nix";
    expect((await tether.shell(`${asked} --argstr salt asked`)).stderr).toContain("will be built");
    expect(await build("--argstr salt asked")).toMatchObject({ code: 0, stdout: "top on pi\n" });
  });

  it("goes on here when it fails there", async () => {
    const { code, stdout, stderr } = await build("--argstr salt fails --argstr there false");
    expect({ code, stdout }).toEqual({ code: 0, stdout: "top on laptop\n" });
    expect(stderr).toContain("nix-tether: it was not built on pi: building here\n");
    expect(await build("--argstr nothing here")).toMatchObject({ code: 1, stdout: "" });
  });

  it("goes on here when the Pi leaves in the middle", async () => {
    const started = Date.now();
    const building = build("--argstr salt leaves --argstr seconds 5");
    await lab.waitFor("the Pi builds", async () => {
      const { stdout } = await lab.exec("pi", "pgrep -f '^/bin/sleep 5' || true");
      return stdout !== "";
    });
    // Nobody tells us: the link is given up when nothing was heard for some seconds.
    await lab.cable("pi", "down");
    expect(await building).toMatchObject({ code: 0, stdout: "top on laptop\n" });
    // Five seconds here, and what was lost there.
    expect(Date.now() - started).toBeLessThan(60_000);
  });

  it("builds here when the Pi is away, and says so", async () => {
    await lab.cable("laptop", "down");
    await tether.waitListed([]);
    const { code, stdout, stderr } = await build("--argstr salt away");
    expect({ code, stdout }).toEqual({ code: 0, stdout: "top on laptop\n" });
    expect(stderr).toMatch(/^nix-tether: pi is offline: building here\n/);
  });
});
