// The completions in real shells on a real terminal: what a person gets who presses Tab.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { interactiveShell, type ShellName } from "../support/interactive-shell.js";
import { shell } from "../support/shell.js";

const config = `
[gateway]
port = 1234
[caches.pi]
host = "pi.local"
[ caches . "attic" ]
host = "attic.local"
# [caches.old]
[farms.night]
[farms.night.nix-options]
[caches]
nas = { host = "nas.local", public-keys = [
  "nas-1:abc=",
] }
shed.host = "shed.local"
[static.disk]
path = "/srv/cache"
[uploads]
to = ["pi"]
`;

const queued = "/nix/store/7rjqb838snvvxcmpvck1smfxhkwzqal5-hello";

test.each<ShellName>(["bash", "zsh", "zsh by its fpath", "fish"])(
  "%s completes commands, caches, options, files and what is queued, without starting the program",
  async (name) => {
    const here = shell();
    const { root } = here;
    mkdirSync(path.join(root, ".config/nix-tether"), { recursive: true });
    writeFileSync(path.join(root, ".config/nix-tether/config.toml"), config);
    const entries = path.join(root, ".local/state/nix-tether/spool/entries");
    mkdirSync(entries, { recursive: true });
    writeFileSync(path.join(entries, `${path.basename(queued)}.json`), "{}");
    writeFileSync(path.join(root, "other config.toml"), "");
    const { out } = await here.run("completion", name.split(" ")[0] ?? "");
    const { type, calls } = await interactiveShell(name, root, out);

    await type("nix-tether sta\t", /nix-tether status /);
    await type("p\t", /pi /);
    await type("--q\t", /--quiet /);
    expect(calls()).toBe(0);
    await type("\r", /<status><pi><--quiet>/);

    await type("nix-tether pause \t\t", /attic[^]*nas[^]*pi[^]*shed/);
    await type("\u0015", /^/);
    await type("nix-tether build n\t", /nas /);
    await type("-- ./oth\t", /toml/);
    await type("\r", /<build><nas><--><.\/other config.toml>/);

    await type("nix-tether queue d\t", /drop /);
    await type("/nix/store/7\t", /hello /);
    await type("\r", new RegExp(`<queue><drop><${queued}>`));

    await type("nix-tether run --config ot\t", /toml/);
    await type("\r", /<run><--config><other config.toml>/);
    await type("nix-tether run --config=ot\t", /toml/);
    await type("\r", /<run><--config=other config.toml>/);
    await type("nix-tether enqueue oth\t", /toml/);
    await type("\r", /<enqueue><other config.toml>/);

    await type("nix-tether farm r\t", /run /);
    await type("n\t", /night /);
    await type("\r", /<farm><run><night>/);

    await type("nix-tether push di\t", /disk /);
    await type("oth\t", /toml/);
    await type("\r", /<push><disk><other config.toml>/);
    mkdirSync(path.join(root, "cellar"));
    await type("nix-tether gc ./cel\t", /cellar/);
    await type("\r", /<gc><.\/cellar\/?>/);

    // Nothing of a kind that has no place here.
    await type("nix-tether unlist oth\t\r", /<unlist><oth>/);
    expect(calls()).toBe(10);
  },
);
