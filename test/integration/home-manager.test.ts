// The Home Manager module, evaluated by the real nix-instantiate: it must define the same units as the
// files under systemd/, the configuration it was given, and the include line where Nix reads it.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const evaluator = join(root, "test/support/home-manager.nix");

type Unit = Record<string, Record<string, unknown>>;

interface Evaluated {
  failed: string[];
  home: { packages: string[] };
  nix: { extraOptions: string | null };
  systemd: {
    user: {
      services: { "nix-tether": Unit; "nix-tether-away@": Unit };
      sockets: { "nix-tether": Unit; "nix-tether-away": Unit };
    };
  };
  xdg: { configFile: Record<string, { source?: string; text?: string } | null> };
}

let home: string;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "nix-tether-hm-"));
});

afterAll(() => rmSync(home, { recursive: true, force: true }));

/** Runs nix-instantiate with a store that exists in memory only. */
function nix(args: readonly string[]): string {
  const env = { ...process.env, HOME: home, NIX_STATE_DIR: home, NIX_CONF_DIR: home, NIX_REMOTE: "dummy://" };
  return execFileSync("nix-instantiate", args, { env, encoding: "utf8" });
}

/** The module's definitions for a user's choices, given as Nix expressions. */
function evaluate(options: Record<string, string>): Evaluated {
  const args = Object.entries(options).flatMap(([name, value]) => ["--arg", name, value]);
  return JSON.parse(nix(["--eval", "--strict", "--json", evaluator, ...args])) as Evaluated;
}

/** A unit file as section -> key -> value, the way Home Manager writes such a tree back. */
function readUnit(name: string): Unit {
  const unit: Unit = {};
  let section: Record<string, unknown> = {};
  const text = readFileSync(join(root, "systemd", name), "utf8");
  for (const line of text.replace(/ \\\n\s*/g, " ").split("\n")) {
    const header = /^\[(.+)\]$/.exec(line)?.[1];
    const [, key, value] = /^([A-Za-z]+)=(.*)$/.exec(line) ?? [];
    if (header !== undefined) section = unit[header] = {};
    else if (key !== undefined) section[key] = value;
  }
  return unit;
}

/** The module's unit as plain strings, so that it compares with a file. */
function plain(unit: Unit): Unit {
  const text = (value: unknown): string => (Array.isArray(value) ? value.join(" ") : String(value));
  return Object.fromEntries(
    Object.entries(unit).map(([section, keys]) => [
      section,
      Object.fromEntries(Object.entries(keys).map(([key, value]) => [key, text(value)])),
    ]),
  );
}

const pi = '{ caches.pi = { host = "raspberrypi.local"; user = "pi"; }; }';

test("every Nix file parses", () => {
  const files = [join(root, "home-manager", "default.nix"), evaluator];
  for (const file of files) expect(() => nix(["--parse", file])).not.toThrow();
});

test("the sockets, and who answers while the daemon can not run, are the ones in systemd/", () => {
  const { sockets, services } = evaluate({ settings: pi }).systemd.user;
  expect(plain(sockets["nix-tether"])).toEqual(readUnit("nix-tether.socket"));
  expect(plain(sockets["nix-tether-away"])).toEqual(readUnit("nix-tether-away.socket"));
  expect(plain(services["nix-tether-away@"])).toEqual(readUnit("nix-tether-away@.service"));
});

test("the service is the one in systemd/, but for the program's place", () => {
  const mine = plain(evaluate({ settings: pi }).systemd.user.services["nix-tether"]);
  const file = readUnit("nix-tether.service");

  expect(mine["Unit"]?.["X-Restart-Triggers"]).toContain("raspberrypi.local");
  delete mine["Unit"]?.["X-Restart-Triggers"];
  const stopPost = String(file["Service"]?.["ExecStopPost"]);
  expect(mine["Service"]).toMatchObject({
    ExecStart: "/pkgs/nix-tether/bin/nix-tether run",
    ExecStopPost: stopPost.replace("nix-tether unlist", "/pkgs/nix-tether/bin/nix-tether unlist"),
    Environment: `${String(file["Service"]?.["Environment"])}:/pkgs/openssh/bin:/pkgs/systemd/bin`,
  });
  for (const key of ["ExecStart", "ExecStopPost", "Environment"]) {
    expect(file["Service"]?.[key]).toBeTypeOf("string");
    delete mine["Service"]?.[key];
    delete file["Service"]?.[key];
  }
  expect(mine).toEqual(file);
});

test("settings become config.toml, and another port moves the sockets", () => {
  const result = evaluate({ settings: '{ gateway.port = 4000; caches.pi.host = "pi.local"; }' });
  expect(result.xdg.configFile["nix-tether/config.toml"]?.source).toContain('"host":"pi.local"');
  for (const socket of Object.values(result.systemd.user.sockets)) {
    expect(socket["Socket"]?.["ListenStream"]).toBe("127.0.0.1:4000");
  }
  expect(result.home.packages).toEqual(["/pkgs/nix-tether"]);
  expect(result.failed).toEqual([]);
});

test("the include line goes to whoever writes nix.conf, and to nobody when turned off", () => {
  const line = "!include nix-tether.conf\n";

  const alone = evaluate({ settings: pi });
  expect(alone.xdg.configFile["nix/nix.conf"]?.text).toBe(line);
  expect(alone.nix.extraOptions).toBeNull();

  const withNix = evaluate({ settings: pi, nixPackage: '"/pkgs/nix"' });
  expect(withNix.xdg.configFile["nix/nix.conf"]).toBeNull();
  expect(withNix.nix.extraOptions).toBe(line);

  const off = evaluate({ settings: pi, includeOverride: "false" });
  expect(off.xdg.configFile["nix/nix.conf"]).toBeNull();
  expect(off.nix.extraOptions).toBeNull();
});

test("what cannot work is refused with a sentence", () => {
  expect(evaluate({ settings: "{ }" }).failed).toEqual([expect.stringContaining("names no cache")]);
  expect(evaluate({ settings: pi, linux: "false" }).failed).toEqual([expect.stringContaining("Linux only")]);
});
