// The modules for Home Manager and NixOS, and the flake, evaluated by the real nix-instantiate against the stand-ins in
// test/nix: they come to what is written down in test/nix/golden, and to the same units as in systemd/ and root/.
//
// With NIX_TETHER_NIXPKGS and NIX_TETHER_HOME_MANAGER, folders of releases that belong together, the modules are held to the
// same by the real nixpkgs and Home Manager. Nix 2.18 or newer is needed for that.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { stringify } from "smol-toml";
import { afterAll, beforeAll, expect, test } from "vitest";
import { configKeys } from "../../src/config/keys.js";
import { loadConfig } from "../../src/config/load.js";
import { cacheUrl } from "../../src/daemon/override-file.js";
import { readPages } from "../support/markdown.js";

const root = resolve(import.meta.dirname, "../..");

type Unit = Record<string, Record<string, unknown>>;

interface Home {
  basic: { settings: Record<string, unknown> };
  full: { settings: Record<string, unknown> };
  typedKeys: Record<string, string[]>;
  farm: {
    settings: Record<string, unknown>;
    units: { services: Record<string, Unit>; timers: Record<string, Unit> };
  };
  units: { services: Record<string, Unit>; sockets: Record<string, Unit> };
}

interface Laptop {
  basic: { settings: { "trusted-substituters": string[] } };
  units: {
    path: { description: string; pathConfig: object; wantedBy: string[]; wants: string[] };
    timer: { description: string; partOf: string[]; timerConfig: object };
    service: { description: string; serviceConfig: Record<string, unknown> };
    startLimit: number;
  };
}

let folder: string;
/** Where the documentation's examples stand. */
const shown: string[] = [];
let evaluated: { home: Home; laptop: Laptop; [part: string]: unknown };

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "nix-tether-nix-"));
  const { NIX_TETHER_NIXPKGS: nixpkgs, NIX_TETHER_HOME_MANAGER: homeManager } = process.env;
  const worlds = { nixpkgs, "home-manager": homeManager };
  const args = Object.entries({ ...worlds, examples: writeExamples() }).flatMap(([name, value]) => [
    "--arg",
    name,
    value ?? "null",
  ]);
  const text = nix(["--eval", "--strict", "--json", join(root, "test/nix"), ...args]);
  evaluated = JSON.parse(withPlainPlaces(text)) as typeof evaluated;
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/**
 * The modules that the documentation shows, as a Nix expression: one that imports nothing goes on from the one before it,
 * and what NixOS is told comes on top of what Home Manager was.
 */
function writeExamples(): string {
  const examples: string[] = [];
  for (const page of readPages()) {
    let homes: string[] = [];
    let before: { section: string; files: string[] } = { section: "", files: [] };
    for (const { language, section, text } of page.blocks) {
      if (language !== "nix" || !text.includes("services.nix-tether")) continue;
      const file = join(folder, `example-${shown.length}.nix`);
      writeFileSync(file, `inputs:\n${text}`);
      shown.push(`${page.name}, ${section}`);
      const isWhole = text.includes("imports");
      const files = isWhole || before.section !== section ? [file] : [...before.files, file];
      before = { section, files };
      const isHome = text.includes("homeModules");
      if (isHome) homes = files;
      const [kind, own] = isHome ? ["home", []] : ["os", isWhole ? homes : []];
      examples.push(`{ kind = "${kind}"; files = [ ${files.join(" ")} ]; homes = [ ${own.join(" ")} ]; }`);
    }
  }
  return `[ ${examples.join(" ")} ]`;
}

/** Runs nix-instantiate with a store that exists in memory only. */
function nix(args: readonly string[]): string {
  const env = {
    ...process.env,
    HOME: folder,
    NIX_STATE_DIR: folder,
    NIX_CONF_DIR: folder,
    NIX_REMOTE: "dummy://",
  };
  return execFileSync("nix-instantiate", args, { env, encoding: "utf8", maxBuffer: 2 ** 26 });
}

/** With the places that the stand-ins have for packages. */
function withPlainPlaces(text: string): string {
  return text.replace(/\/nix\/store\/[a-z0-9]{32}-([A-Za-z-]+?)(-[0-9][^/"\\ :]*)?(?=[/"\\ :])/g, "/pkgs/$1");
}

/** A unit file as section -> key -> value. */
function readUnit(name: string): Unit {
  const unit: Unit = {};
  let section: Record<string, unknown> = {};
  const text = readFileSync(join(root, name), "utf8");
  for (const line of text.replace(/ \\\n\s*/g, " ").split("\n")) {
    const header = /^\[(.+)\]$/.exec(line)?.[1];
    const [, key, value] = /^([A-Za-z]+)=(.*)$/.exec(line) ?? [];
    if (header !== undefined) section = unit[header] = {};
    else if (key !== undefined) section[key] = value;
  }
  return unit;
}

/** A unit of the modules with all values as strings, so that it compares with a file. */
function asText(unit: object): object {
  return JSON.parse(JSON.stringify(unit), (_key, value: unknown) =>
    typeof value === "number" || typeof value === "boolean" ? String(value) : value,
  ) as object;
}

function nixFiles(): string[] {
  const folders = ["home-manager", "nix", "nixos", "test/nix", "test/lab", "test/lab/chaos"];
  const inFolders = folders.flatMap((name) => readdirSync(join(root, name)).map((file) => join(name, file)));
  return ["flake.nix", ...inFolders].filter((file) => file.endsWith(".nix"));
}

test("every Nix file parses", () => {
  expect(() => nix(["--parse", ...nixFiles().map((file) => join(root, file))])).not.toThrow();
});

test.each(["home", "laptop", "pi", "farm", "flake"])("%s: as it is written down", async (part) => {
  const parts = part in evaluated ? [part] : [];
  for (const name of parts) {
    // The units are compared with their files.
    const text = JSON.stringify(
      evaluated[name],
      (key, value: unknown) => (key === "units" ? undefined : value),
      2,
    );
    await expect(`${text}\n`).toMatchFileSnapshot(join(root, "test/nix/golden", `${name}.json`));
  }
});

test("the documentation's examples can be used as they stand", () => {
  const pages = evaluated["pages"] as { failed: string[]; units: string[]; allowed?: number }[];
  expect(pages).toHaveLength(shown.length);
  const found = pages.map((page, index) => ({ where: shown[index], ...page }));
  expect(found.map(({ failed }) => failed)).toEqual(found.map(() => []));
  const unitsOf = (where: string): string[] =>
    found.filter((one) => one.where === where).flatMap(({ units }) => units);
  expect(unitsOf("README.md, With Home Manager")).toContain("nix-tether");
  expect(unitsOf("docs/setup-nixos.md, The laptop's user, in Home Manager")).toContain("nix-tether");
  expect(unitsOf("docs/setup-nixos.md, The Pi")).toContain("nix-tether-key");
  expect(unitsOf("docs/setup-nixos.md, A farm")).toEqual(["nix-tether-farm@", "nix-tether-farm-tools"]);
  const byRoot = found.filter(({ where }) => where === "docs/setup-nixos.md, The laptop's root, in NixOS");
  expect(byRoot.map(({ allowed }) => allowed)).toEqual([16, 16]);
});

test("the sockets, and who answers while the daemon can not run, are the ones in systemd/", () => {
  const { sockets, services } = evaluated.home.units;
  expect(asText(sockets["nix-tether"] ?? {})).toEqual(readUnit("systemd/nix-tether.socket"));
  expect(asText(sockets["nix-tether-away"] ?? {})).toEqual(readUnit("systemd/nix-tether-away.socket"));
  expect(asText(services["nix-tether-away@"] ?? {})).toEqual(readUnit("systemd/nix-tether-away@.service"));
});

test("the service is the one in systemd/, but for the program's place", () => {
  const file = readUnit("systemd/nix-tether.service");
  const { ExecStart, ExecStopPost, Environment } = file["Service"] as Record<string, string>;
  const program = "/pkgs/nix-tether/bin/nix-tether";
  Object.assign(file["Service"] ?? {}, {
    ExecStart: ExecStart?.replace("/usr/bin/env nix-tether", program),
    ExecStopPost: ExecStopPost?.replace("nix-tether unlist", `${program} unlist`),
    Environment: `${Environment}:/pkgs/openssh/bin:/pkgs/systemd/bin`,
  });
  expect(asText(evaluated.home.units.services["nix-tether"] ?? {})).toEqual(file);
});

test("a farm's units are the ones in systemd/, but for the program's place and the time", () => {
  const file = readUnit("systemd/nix-tether-farm@.service");
  const { ExecStart, Environment } = file["Service"] as Record<string, string>;
  Object.assign(file["Service"] ?? {}, {
    ExecStart: ExecStart?.replace("/usr/bin/env nix-tether", "/pkgs/nix-tether/bin/nix-tether"),
    Environment: `${Environment}:/pkgs/openssh/bin:/pkgs/systemd/bin:/pkgs/git/bin:/pkgs/util-linux/bin`,
  });
  const { services, timers } = evaluated.home.farm.units;
  expect(asText(services["nix-tether-farm@"] ?? {})).toEqual(file);
  const timer = JSON.stringify(readUnit("systemd/nix-tether-farm@.timer")).replaceAll("%i", "home");
  expect(asText(timers)).toEqual({ "nix-tether-farm@home": JSON.parse(timer) as object });
});

test("root's units are the ones in root/", () => {
  const { path, timer, service, startLimit } = evaluated.laptop.units;
  const forAda = (name: string): object =>
    JSON.parse(JSON.stringify(readUnit(name)).replaceAll("%i", "ada")) as object;
  expect({
    Unit: { Description: path.description, Wants: path.wants.join(" ") },
    Path: path.pathConfig,
    Install: { WantedBy: path.wantedBy.join(" ") },
  }).toEqual(forAda("root/nix-tether-root@.path"));
  expect(
    asText({
      Unit: { Description: timer.description, PartOf: timer.partOf.join(" ") },
      Timer: timer.timerConfig,
    }),
  ).toEqual(forAda("root/nix-tether-root@.timer"));

  const file = readUnit("root/nix-tether-root@.service");
  const exec = { ExecStart: "/pkgs/nix-tether/lib/nix-tether/root/nix-tether-root.sh %i" };
  Object.assign(file["Service"] ?? {}, exec);
  expect(
    asText({
      Unit: { Description: service.description, StartLimitIntervalSec: startLimit },
      Service: service.serviceConfig,
    }),
  ).toEqual(file);
});

test("root allows the URLs that the daemon lists", () => {
  const numbers = Array.from({ length: 16 }, (_, generation) => generation);
  expect(evaluated.laptop.basic.settings["trusted-substituters"]).toEqual(
    numbers.map((generation) =>
      cacheUrl({ port: 37515, name: "pi", generation, priority: 30, trusted: false }),
    ),
  );
});

test("the program takes the configuration, and knows every key that has a type", async () => {
  for (const { settings } of [evaluated.home.basic, evaluated.home.full]) {
    const file = join(folder, "config.toml");
    writeFileSync(file, stringify(settings));
    await expect(loadConfig(file, folder)).resolves.toMatchObject({ caches: { pi: { host: "pi.local" } } });
  }
  const farm = join(folder, "farm.toml");
  writeFileSync(farm, stringify(evaluated.home.farm.settings));
  await expect(loadConfig(farm, folder)).resolves.toMatchObject({ farms: { home: { keep: 2 } } });
  const known = configKeys().map(({ path }) => path.join("."));
  const typed = Object.entries(evaluated.home.typedKeys).flatMap(([table, keys]) =>
    keys.map((key) => `${table}.${key}`),
  );
  expect(typed.length).toBeGreaterThan(15);
  for (const key of typed) expect(known).toContain(key);
});
