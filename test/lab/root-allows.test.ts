// Before and after the administrator's step, for a user who is not trusted: a cache that Nix would only say that it ignores
// is not listed, and as soon as root has allowed it, it is.

import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Lab, type NixVersion } from "./lab.js";
import { build, copiedFrom } from "./store.js";
import { Tether, onePi } from "./tether.js";

describe.each<NixVersion>(["2.8", "2.34"])("with Nix %s", (nix) => {
  let lab: Lab;
  let tether: Tether;

  beforeAll(async () => {
    lab = await Lab.up({ nix });
    await lab.exec(
      "laptop",
      "sed -i /^trusted-substituters/d /etc/nix/nix.conf; systemctl stop nix-daemon.service",
    );
    // The pulse is half of it.
    const dropIn = "~/.config/systemd/user/nix-tether.service.d";
    await lab.user(
      "laptop",
      "dev",
      `mkdir -p ${dropIn}; printf '[Service]\\nWatchdogSec=10\\n' >${dropIn}/pulse.conf`,
    );
    tether = await Tether.install(lab, onePi);
  });

  afterAll(() => lab?.down());

  beforeEach(() => tether.showLogOnFailure());

  it("lists nothing that Nix would complain of, and says what root must do", async () => {
    await tether.waitCache("online", ({ state }) => state === "online");
    expect((await tether.override()).urls).toEqual([]);
    expect(await tether.waitWarning(/^url-not-allowed$/)).toContain("sudo systemctl restart nix-daemon");
    expect((await tether.shell("nix-tether status")).stdout).toContain("no: root must allow it");
    const { log } = await build(lab, "laptop", "one", "before");
    expect(log).not.toMatch(/ignoring|warning|37515/);
  });

  it("waits for the nix-daemon's restart, and lists by itself within seconds of it", async () => {
    const text = await tether.waitWarning(/^url-not-allowed$/);
    const [, loop = ""] =
      /`(for .* done) \| sudo tee -a \/etc\/nix\/nix.conf; sudo systemctl/.exec(text) ?? [];
    await lab.exec("laptop", `${loop} >>/etc/nix/nix.conf`);
    // It still runs with the old settings.
    await lab.exec("laptop", "systemctl is-active nix-daemon.service; sleep 6");
    expect((await tether.override()).urls).toEqual([]);
    await lab.exec("laptop", "systemctl restart nix-daemon.service");
    await tether.waitListed(["pi"], 12_000);

    const { path } = await build(lab, "pi", "one", "after");
    const { log } = await build(lab, "laptop", "one", "after");
    expect([...copiedFrom(log, "pi")]).toEqual([path]);
    expect(log).not.toMatch(/ignoring|warning/);
    expect((await tether.status()).warnings).toEqual([]);
  });

  it("unlists when root has taken it back by the time the Pi returns, and is asked anew for status", async () => {
    await lab.exec(
      "laptop",
      "sed -i.all /trusted-substituters/d /etc/nix/nix.conf; systemctl restart nix-daemon.service",
    );
    await lab.cable("laptop", "down");
    await tether.waitListed([]);
    await lab.cable("laptop", "up");
    await tether.waitWarning(/^url-not-allowed$/);
    expect((await tether.override()).urls).toEqual([]);

    const conf = "/etc/nix/nix.conf";
    await lab.exec(
      "laptop",
      `grep -v 'pi/3?' ${conf}.all >${conf}; systemctl restart nix-daemon.service; sleep 3`,
    );
    expect((await tether.shell("nix-tether status")).stdout).toMatch(/ yes .* 15 of its 16 URLs.* in 3; do/s);
    expect((await tether.override()).urls).toHaveLength(1);
  });
});
