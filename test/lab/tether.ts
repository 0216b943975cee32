// nix-tether as the laptop's user has it: its units, its configuration, what it says of itself, and its override file.

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { onTestFailed } from "vitest";
import type { CacheStatus, StatusReport } from "../../src/control/messages.js";
import { repositoryFile } from "../support/repository.js";
import type { Lab } from "./lab.js";

const units = repositoryFile("systemd");
const overrideFile = "$HOME/.config/nix/nix-tether.conf";

/** The configuration that most tests use: the Pi by its multicast name. */
export const onePi = `
[caches.pi]
host = "pi.local"
user = "pi"
`;

/** The override file at one moment. */
export interface Override {
  readonly text: string;
  /** Last change, in milliseconds since the epoch by the laptop's clock, which is this machine's. */
  readonly changedAt: number;
  /** The URLs that Nix is told to ask. */
  readonly urls: readonly string[];
}

export class Tether {
  readonly #lab: Lab;

  private constructor(lab: Lab) {
    this.#lab = lab;
  }

  /** Installs the repository's units for `dev` and starts the daemon with this configuration. */
  static async install(lab: Lab, config: string): Promise<Tether> {
    const tether = new Tether(lab);
    for (const unit of readdirSync(units).filter((name) => /\.(service|socket)$/.test(name))) {
      const text = readFileSync(join(units, unit), "utf8");
      await lab.exec("laptop", `cat >/etc/systemd/user/${unit} <<'UNIT'\n${text}\nUNIT`);
    }
    await tether.#write(config);
    await tether.shell("systemctl --user daemon-reload");
    await tether.shell("systemctl --user enable --now nix-tether.socket nix-tether.service");
    return tether;
  }

  /** Runs a script as the laptop's user. */
  shell(commands: string, options = {}): Promise<{ code: number; stdout: string; stderr: string }> {
    return this.#lab.user("laptop", "dev", commands, options);
  }

  /** Replaces the configuration and restarts the daemon. */
  async configure(config: string): Promise<void> {
    await this.#write(config);
    await this.restart();
  }

  /** Has the daemon look for the Pi under another name, which may be one of this ~/.ssh/config. */
  async useHost(host: string, sshConfig = ""): Promise<void> {
    await this.shell(`cat >~/.ssh/config <<'CONFIG'\n${sshConfig}\nCONFIG`);
    await this.configure(onePi.replace("pi.local", host));
    await this.waitListed(["pi"]);
  }

  async restart(): Promise<void> {
    await this.shell("systemctl --user restart nix-tether.service");
  }

  async status(): Promise<StatusReport> {
    const { stdout, stderr } = await this.shell("nix-tether status --json", { mayFail: true });
    if (stdout === "") throw new Error(`nix-tether status said nothing: ${stderr}`);
    return JSON.parse(stdout) as StatusReport;
  }

  async cache(name = "pi"): Promise<CacheStatus> {
    const found = (await this.status()).caches[name];
    if (found === undefined) throw new Error(`status has no cache ${name}`);
    return found;
  }

  async override(): Promise<Override> {
    // Opened once: between two openings another file may have taken its place.
    const { stdout } = await this.shell(`exec <${overrideFile}; stat -Lc %.6Y /proc/self/fd/0; cat`);
    const [time = "", ...lines] = stdout.split("\n");
    const settings = lines.filter((line) => line.trim() !== "" && !line.startsWith("#"));
    const urls = settings
      .filter((line) => line.startsWith("extra-substituters"))
      .flatMap((line) => line.slice(line.indexOf("=") + 1).split(" "))
      .filter((url) => url !== "");
    if (urls.length === 0 && settings.length > 0)
      throw new Error(`unexpected settings: ${settings.join("; ")}`);
    return { text: lines.join("\n"), changedAt: Number(time) * 1000, urls };
  }

  /** The override as it is when it first lists exactly these caches; none: it holds comments only. */
  waitListed(names: readonly string[], timeoutMs = 30_000): Promise<Override> {
    return this.#lab.waitFor(
      `override lists ${names.join(", ") || "nothing"}`,
      async () => {
        const override = await this.override();
        const listed = override.urls.map((url) => new URL(url).pathname.split("/")[1] ?? "");
        return listed.toSorted().join() === names.toSorted().join() && override;
      },
      timeoutMs,
    );
  }

  /** The cache's status when `accept` first says yes. */
  waitCache(what: string, accept: (cache: CacheStatus) => boolean, timeoutMs = 30_000): Promise<CacheStatus> {
    return this.#lab.waitFor(
      what,
      async () => {
        const cache = await this.cache();
        if (!accept(cache)) throw new Error(JSON.stringify(cache));
        return cache;
      },
      timeoutMs,
    );
  }

  /** The text of the first standing warning whose code matches. */
  waitWarning(code: RegExp, timeoutMs = 30_000): Promise<string> {
    return this.#lab.waitFor(
      `a warning ${code}`,
      async () => {
        const { warnings } = await this.status();
        const found = warnings.find((warning) => code.test(warning.code));
        if (found === undefined) throw new Error(JSON.stringify(warnings));
        return found.text;
      },
      timeoutMs,
    );
  }

  /** What the daemon has written to the journal, with the priority of each line (4 is a warning, 6 is plain). */
  async journal(): Promise<{ priority: number; message: string }[]> {
    const show = "journalctl --user -u nix-tether.service -t nix-tether -o json --no-pager";
    const { stdout } = await this.shell(show);
    return stdout
      .trim()
      .split("\n")
      .map((line) => {
        const entry = JSON.parse(line) as { PRIORITY: string; MESSAGE: string };
        return { priority: Number(entry.PRIORITY), message: entry.MESSAGE };
      });
  }

  /** For `beforeEach`: prints the end of the daemon's log if the test fails. */
  showLogOnFailure(): void {
    onTestFailed(async () => {
      const show = "journalctl --user -u nix-tether.service -n 80 --no-pager -o short-precise";
      process.stderr.write((await this.shell(show, { mayFail: true })).stdout);
    });
  }

  async #write(config: string): Promise<void> {
    const folder = "$HOME/.config/nix-tether";
    await this.shell(`mkdir -p ${folder}; cat >${folder}/config.toml <<'TOML'\n${config}\nTOML`);
  }
}
