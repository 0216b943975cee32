// The documentation's commands, to the letter, by two people who have nothing yet: the README's five minutes, then uploads.

import { afterAll, beforeAll, expect, it } from "vitest";
import type { Result } from "../../src/doctor/check.js";
import { eventually } from "../support/eventually.js";
import { readPages, type CodeBlock } from "../support/markdown.js";
import { Lab, type Host, type Outcome } from "./lab.js";

const pages = readPages();
const config = "~/.config/nix-tether/config.toml";
const expression = (name: string): string =>
  `derivation { name = "${name}"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo $name >$out" ]; }`;

let lab: Lab;
const keys = { PI: "", LAPTOP: "" };

/** What the documentation says, with this lab's names and keys in the places of the README's. */
function here(text: string): string {
  return text
    .replaceAll("raspberrypi.local", "pi.local")
    .replaceAll(
      /(pi|laptop)-1:PASTE-THE-LINE-FROM-THE-(PI|LAPTOP)/g,
      (_all, _name, from: "PI" | "LAPTOP") => keys[from],
    );
}

function blocks(page: string, section: string): CodeBlock[] {
  return pages.find(({ name }) => name === page)?.blocks.filter((block) => block.section === section) ?? [];
}

/** As the machine's user, who may use sudo, in the folder of the clone. */
function shell(host: Host, commands: string): Promise<Outcome> {
  const before = `set -e; PATH=$HOME/.local/bin:$PATH; [ ! -d nix-tether ] || cd nix-tether;`;
  return lab.user(host, host === "pi" ? "pi" : "dev", `${before}\n${here(commands)}`);
}

async function built(host: Host, name: string): Promise<string> {
  return (await shell(host, `nix-build --no-out-link -E '${expression(name)}'`)).stdout.trim();
}

/** What the doctor finds on the laptop that must be mended. */
async function toMend(): Promise<string[]> {
  const { checks } = JSON.parse((await shell("laptop", "nix-tether doctor --json || true")).stdout) as {
    checks: Result[];
  };
  return checks.filter(({ mark }) => mark === "failure").map(({ id }) => id);
}

beforeAll(async () => {
  lab = await Lab.up({ nix: "2.8" });
  const bare = `printf 'sandbox = false\\nsubstituters =\\n' >/etc/nix/nix.conf
    systemctl stop nix-daemon.service; systemctl start nix-daemon.socket
    ln -sf /opt/node /usr/local/bin/node; rm -f /usr/local/bin/nix-tether`;
  await lab.exec("pi", `${bare}\necho 'pi ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/lab`);
  await lab.exec(
    "laptop",
    `${bare}\necho 'dev ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/lab
    rm -r /home/dev/.config/nix /home/dev/.ssh/known_hosts`,
  );
  // Their clone. What npm has fetched is borrowed: there is no registry in the lab.
  await lab.user(
    "laptop",
    "dev",
    `mkdir nix-tether; tar -C /opt/nix-tether --exclude=./.git --exclude=./node_modules -c . | tar -C nix-tether -x
    ln -s /opt/nix-tether/node_modules nix-tether/`,
  );
});

afterAll(() => lab?.down());

it("the README leads to a laptop that fetches from the Pi", async () => {
  const before = await built("pi", "before");
  for (const { text } of blocks("README.md", "On the Pi")) await shell("pi", text);
  keys.PI = (await shell("pi", "cat /etc/nix/public-key")).stdout.trim();
  const after = await built("pi", "after");

  const { stdout: hostKey } = await shell("pi", "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub");
  for (const { language, text } of blocks("README.md", "On the laptop")) {
    if (language === "toml") {
      await shell("laptop", `mkdir -p ~/.config/nix-tether; cat >${config} <<'TOML'\n${text}TOML`);
      // Nobody here can type a password, as ssh-copy-id wants it; the README has this for those who need not.
      await shell("laptop", `nix-tether trust pi --fingerprint ${hostKey.split(" ")[1]}`);
      // What the steps are that are still to come.
      expect(await toMend()).toEqual(["include", "urls", "keys", "signatures", "daemon"]);
    } else if (!text.includes("ssh-copy-id") && !text.includes("nix-tether status"))
      await shell("laptop", text);
  }
  await eventually(
    "online and in Nix",
    async () => {
      const { stdout } = await shell("laptop", "nix-tether status || true");
      return /^pi +online .* yes /m.test(stdout);
    },
    30_000,
  );
  await shell("laptop", `nix-store -r ${before} ${after}`);
  // It exits with 1 where anything is left to be done.
  await shell("laptop", "nix-tether doctor");
  expect((await shell("laptop", "man -w nix-tether")).stdout).toContain("nix-tether.1");
});

it("the page on uploads leads to a Pi that gets what is built on the laptop", async () => {
  const [make, toml, allow] = blocks("docs/uploads.md", "The Pi must take it");
  const { stdout } = await shell("laptop", make?.text ?? "");
  keys.LAPTOP = stdout.trim();
  await shell("laptop", `cat >>${config} <<'TOML'\n${toml?.text}TOML\nsystemctl --user restart nix-tether`);
  await shell("pi", allow?.text ?? "");
  const byHand = await built("laptop", "by-hand");
  await shell(
    "laptop",
    `cd; nix-store --realise --add-root result ${byHand}; nix-tether enqueue --wait ./result`,
  );
  await shell("pi", `nix-store --check-validity ${byHand}`);

  const [hook] = blocks("docs/uploads.md", "The hook");
  await shell("laptop", hook?.text ?? "");
  const byHook = await built("laptop", "by-hook");
  await eventually(
    "it has arrived",
    async () => {
      return (
        (await shell("pi", `nix-store --check-validity ${byHook} && echo yes || true`)).stdout === "yes\n"
      );
    },
    30_000,
  );
});
