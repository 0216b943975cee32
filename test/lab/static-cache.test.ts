// The other job, whole: a farm updates a flake, builds it and pushes it to a folder on the Pi's disk; nginx serves that; the
// laptop fetches from it at home, and away it builds on without a word. In between, links are cut and the old is collected.

import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { delay } from "../../src/util/abort.js";
import { Lab, type NixVersion } from "./lab.js";
import { copiedFrom } from "./store.js";
import { Tether } from "./tether.js";

const cacheFolder = "/srv/cache";

const config = `
[caches.nas]
type = "http"
url = "http://pi.local"

[static.disk]
host = "pi.local"
user = "pi"
path = "${cacheFolder}"
signing-key = "~/farm.key"

[farms.home]
repository = "/home/dev/flake.git"
attributes = ["packages.x86_64-linux.system"]
push-to = ["disk"]
`;

/** `system` needs three others; `text` of the input is in all of them. */
const flake = `{
  inputs.dep.url = "git+file:///home/dev/dep";
  outputs = { self, dep }: let
    make = name: needed: derivation {
      inherit name needed;
      system = "x86_64-linux";
      builder = "/bin/sh";
      PATH = "/bin:/usr/bin";
      args = [ "-c" "mkdir $out; echo \${dep.text} $needed >$out/$name" ];
    };
  in {
    packages.x86_64-linux = rec {
      kernel = make "kernel" [ ];
      shell = make "shell" [ ];
      editor = make "editor" [ shell ];
      system = make "system" [ kernel editor ];
      later = make "later" [ system ];
    };
  };
}`;

const nginx = `user www-data;
events { }
error_log stderr;
http {
  access_log off;
  server { listen 80; listen [::]:80; root ${cacheFolder}; }
}`;

/** A made-up pattern of bytes for each, so that nothing of it is small when compressed. */
const large = `derivation {
  name = "large";
  system = builtins.currentSystem;
  builder = "/bin/sh";
  PATH = "/bin:/usr/bin";
  parts = builtins.genList (n: derivation {
    name = "part-\${toString n}";
    system = builtins.currentSystem;
    builder = "/bin/sh";
    PATH = "/bin:/usr/bin";
    args = [ "-c" "head -c 6000000 /dev/urandom >$out" ];
  }) 12;
  args = [ "-c" "echo $parts >$out" ];
}`;

/** How often the link is cut in the middle of a push. */
const cuts = Number(process.env["PUSH_CUTS"] ?? 5);

describe.each<NixVersion>(["2.34"])("with Nix %s", (nix) => {
  let lab: Lab;
  let tether: Tether;

  const dev = (commands: string, options = {}): ReturnType<Lab["user"]> =>
    lab.user("laptop", "dev", commands, options);
  const pi = (commands: string, options = {}): ReturnType<Lab["user"]> =>
    lab.user("pi", "pi", commands, options);

  beforeAll(async () => {
    lab = await Lab.up({ nix });
    await lab.exec(
      "pi",
      `install -d -o pi -g pi ${cacheFolder}
       cat >/etc/nginx-cache.conf <<'CONF'\n${nginx}\nCONF
       systemd-run --quiet --unit=cache nginx -g 'daemon off;' -c /etc/nginx-cache.conf`,
    );
    await dev(`
      nix-store --generate-binary-cache-key farm-1 farm.key farm.pub; chmod 600 farm.key
      git config --global user.name dev; git config --global user.email dev@laptop
      git config --global init.defaultBranch main; git config --global --add safe.directory '*'
      git init -q dep; echo '{ outputs = _: { text = "one"; }; }' >dep/flake.nix
      git -C dep add .; git -C dep commit -qm one
      git init -q --bare flake.git; git clone -q flake.git flake 2>/dev/null
      cat >flake/flake.nix <<'NIX'\n${flake}\nNIX
      cd flake; git add .; git commit -qm begin; git push -q origin main`);
    const { stdout: key } = await dev("cat farm.pub");
    await lab.exec(
      "laptop",
      `sed -i 's|^secret-key-files.*||; s|^trusted-public-keys =|& ${key.trim()}|' /etc/nix/nix.conf
       systemctl stop nix-daemon.service; systemctl start nix-daemon.socket`,
    );
    tether = await Tether.install(lab, config);
  });

  afterAll(() => lab?.down());

  beforeEach(() => tether.showLogOnFailure());

  /** Builds what the flake's last commit has, as the laptop's user. */
  const build = async (attribute: string): Promise<{ path: string; log: string }> => {
    const expression = `(builtins.getFlake "git+file:///home/dev/flake").packages.x86_64-linux.${attribute}`;
    const { stdout, stderr } = await dev(
      `git -C flake pull -q
       nix-build --no-out-link --option extra-experimental-features flakes --expr '${expression}'`,
    );
    return { path: stdout.trim(), log: stderr };
  };

  /** Takes what the farm has built out of the laptop's store, as if another machine had built it. */
  const forget = async (): Promise<void> => {
    await dev("rm -rf ~/.local/state/nix-tether/farms/home/{good,roots}");
    await lab.exec("laptop", "nix-collect-garbage 2>&1");
  };

  /** What a reader would find of the cache at this moment: by fsck, and by Nix itself that reads all that is named. */
  const expectWhole = async (): Promise<number> => {
    const { stdout } = await pi(
      `set -e
       nix-tether fsck ${cacheFolder} --json >fsck.json || { cat fsck.json >&2; exit 1; }
       all=$(sed -n 's/^StorePath: //p' ${cacheFolder}/*.narinfo 2>/dev/null || true)
       rm -rf copy
       [ -z "$all" ] || nix copy --from file://${cacheFolder} --to $PWD/copy --no-check-sigs $all
       chmod -R u+w copy 2>/dev/null || true; rm -rf copy
       echo "$all" | grep -c . || true`,
    );
    return Number(stdout);
  };

  it("what the farm has built and pushed is fetched from the Pi's disk", async () => {
    const { stdout } = await dev("nix-tether farm run home");
    expect(stdout).toMatch(/disk/);
    expect(await expectWhole()).toBe(4);
    await forget();
    await tether.waitListed(["nas"]);
    const { path, log } = await build("system");
    expect(log).not.toContain("building");
    expect(copiedFrom(log, "nas").size).toBe(4);
    expect((await dev(`cat ${path}/system`)).stdout).toMatch(/^one /);
  });

  it("the next night's run brings what is new, and the commit with it", async () => {
    await dev(
      `echo '{ outputs = _: { text = "two"; }; }' >dep/flake.nix; git -C dep commit -qam two
       systemctl --user start nix-tether-farm@home.service`,
    );
    await forget();
    // Nix was told that it is not there when the farm was about to build it.
    await tether.waitListed(["nas"]);
    const { path, log } = await build("system");
    expect(log).not.toContain("building");
    expect(copiedFrom(log, "nas").size).toBe(4);
    expect((await dev(`cat ${path}/system`)).stdout).toMatch(/^two /);
  });

  it("away, Nix builds on without a word", async () => {
    await lab.cable("laptop", "down");
    try {
      await tether.waitListed([]);
      const { path, log } = await build("later");
      expect(log).toContain("building");
      expect(log).not.toMatch(/37515|tether|substitut|cache|warning|error/i);
      expect((await dev(`cat ${path}/later`)).stdout).toMatch(/^two /);
      // The farm says what it can not reach, and keeps what it has built.
      const { code, stdout } = await dev("nix-tether farm run home", { mayFail: true, timeoutMs: 120_000 });
      expect(code).not.toBe(0);
      expect(stdout).toMatch(/disk/);
    } finally {
      await lab.cable("laptop", "up");
      await tether.waitListed(["nas"]);
    }
  });

  it(
    `is whole at each of ${cuts} cuts in the middle of a push, and after it`,
    { timeout: 900_000 },
    async () => {
      const before = await expectWhole();
      const { stdout } = await dev(
        `cat >large.nix <<'NIX'\n${large}\nNIX\nnix-build --no-out-link large.nix`,
      );
      await lab.bandwidth("pi", `${200 / cuts}mbit`);
      const push = dev(`nix-tether push disk ${stdout.trim()}`, { timeoutMs: 600_000 });
      push.catch(() => undefined);
      let over = false;
      void push.finally(() => (over = true)).catch(() => undefined);
      // Whom it can not reach at first it does not wait for.
      await lab.waitFor("the push has begun", async () => {
        const { stdout: marks } = await pi(`ls -A ${cacheFolder}`);
        return marks.includes(".nix-tether-push-");
      });
      let cutInTheMiddle = 0;
      for (let cut = 0; cut < cuts; cut += 1) {
        await delay(700);
        if (over) break;
        const { code } = await lab.exec("pi", "pkill -KILL -f '^sshd: pi'", { mayFail: true });
        if (code === 0) cutInTheMiddle += 1;
        await expectWhole();
      }
      const { stderr } = await push;
      await lab.bandwidth("pi", "1gbit");
      expect(cutInTheMiddle).toBeGreaterThanOrEqual(cuts * 0.6);
      expect(stderr).not.toMatch(/error/i);
      expect(await expectWhole()).toBe(before + 13);
    },
  );

  it("collects what is old and keeps what is needed", async () => {
    const { stdout } = await dev("nix-tether farm status --json", { mayFail: true });
    const [system = ""] = /\/nix\/store\/[0-9a-z]{32}-system/.exec(stdout) ?? [];
    await pi(`find ${cacheFolder} -type f -exec touch -d '20 days ago' {} +`);
    await dev(`nix-tether push disk ${system}`);
    const { stdout: said } = await dev("nix-tether gc disk --older-than 14d");
    expect(said).not.toBe("");
    expect(await expectWhole()).toBe(4);
  });
});
