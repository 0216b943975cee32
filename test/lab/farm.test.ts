// A farm on the Pi, as its user's service: it updates a flake, builds it and pushes it into the folder of the Pi's web server.
// The laptop pulls the new lock, and fetches what it leads to at home, and builds it elsewhere.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { repositoryFile } from "../support/repository.js";
import type { Lab } from "./lab.js";
import { copiedFrom } from "./store.js";
import type { Tether } from "./tether.js";
import { useTetheredLab } from "./tethered-lab.js";

const config = `
[caches.pi]
type = "http"
url = "http://pi.local:8080"
`;

const nginxConf = `
daemon off;
pid /run/cache-nginx.pid;
events {}
http { server { listen 8080; root /srv/cache; } }
`;

/** The Pi's nix-daemon signs what it builds. */
const farmConfig = `
[static.disk]
path = "/srv/cache"

[farms.home]
repository = "/srv/conf.git"
attributes = ["packages.x86_64-linux.default"]
author = "Farm <farm@example.org>"
push-to = ["disk"]
`;

const flake = `{
  inputs.text.url = "git+file:///srv/text";
  outputs = { self, text }: let
    make = name: script: builtins.derivation {
      inherit name;
      system = "x86_64-linux";
      builder = "/bin/sh";
      args = [ "-c" script ];
    };
    part = n: make "part-\${n}" "echo \${text.text} \${n} >$out";
  in {
    packages.x86_64-linux.default = make "whole" "echo \${part "1"} \${part "2"} \${part "3"} >$out";
  };
}`;

const nixBuild = `nix --extra-experimental-features 'nix-command flakes' build -v --log-format raw --no-link`;

/** Commits another text for the flake's input. */
async function writeText(lab: Lab, text: string): Promise<void> {
  await lab.user(
    "pi",
    "pi",
    `cd /srv/text; echo '{ outputs = _: { text = "${text}"; }; }' >flake.nix; git commit -qam ${text}`,
  );
}

async function prepare(lab: Lab): Promise<void> {
  const unit = readFileSync(repositoryFile("systemd/nix-tether-farm@.service"), "utf8");
  await lab.exec(
    "pi",
    `install -d -o pi /srv/cache /srv/text /srv/conf.git
    cat >/etc/systemd/user/nix-tether-farm@.service <<'UNIT'\n${unit}\nUNIT
    cat >/srv/nginx.conf <<'CONF'\n${nginxConf}\nCONF
    systemd-run --unit cache-nginx nginx -c /srv/nginx.conf`,
  );
  await lab.user(
    "pi",
    "pi",
    `git config --global user.name Pi; git config --global user.email pi@example.org
    git config --global init.defaultBranch main
    mkdir -p ~/.config/nix-tether; cat >~/.config/nix-tether/config.toml <<'CONF'\n${farmConfig}\nCONF
    git init -q /srv/text; cd /srv/text; touch flake.nix; git add .
    git init -q --bare /srv/conf.git; git init -q ~/conf; cd ~/conf; cat >flake.nix <<'FLAKE'\n${flake}\nFLAKE
    git add .; git commit -qm begin; git push -q /srv/conf.git main
    systemctl --user daemon-reload`,
  );
  await writeText(lab, "one");
  await runFarm(lab);
}

async function runFarm(lab: Lab): Promise<void> {
  await lab.user("pi", "pi", "systemctl --user start nix-tether-farm@home");
}

describe("a farm", () => {
  let lab: Lab;
  let tether: Tether;

  useTetheredLab({ nix: "2.34", config, prepare }, (up) => ({ lab, tether } = up));

  /** The flake as the farm has pushed it, with the local input in the same place. */
  const pull = (): Promise<unknown> =>
    tether.shell(`export GIT_SSH_COMMAND='ssh -o HostKeyAlias=pi.local'
      rm -rf conf /srv/text/* /srv/text/.git
      git clone -q pi@10.77.0.1:/srv/conf.git conf; git clone -q pi@10.77.0.1:/srv/text /srv/text`);

  it("has pushed the lock and what it leads to, which the laptop fetches", async () => {
    await lab.exec("laptop", "install -d -o dev /srv/text");
    await pull();
    const { stderr } = await tether.shell(`${nixBuild} ./conf`);
    expect(copiedFrom(stderr, "pi").size).toBe(4);
    expect(stderr).not.toMatch(/building '/);
    const report = await lab.user("pi", "pi", "nix-tether farm status home");
    expect(report.stdout).toMatch(/all is well[^]*Pushed:\n {2}disk: 4 paths[^]*pushed to main/);
  });

  it("runs again with a new input; away, the laptop builds it without a word", async () => {
    await writeText(lab, "two");
    await runFarm(lab);
    await pull();
    await lab.cable("laptop", "down");
    await tether.waitListed([]);
    const { stderr } = await tether.shell(`${nixBuild} ./conf`);
    expect(stderr).toMatch(/building '[^']*-whole\.drv'/);
    expect(stderr).not.toMatch(/37515|tether|substitut|cache|warning|error/i);
    await lab.cable("laptop", "up");
    await tether.waitListed(["pi"]);
  });
});
