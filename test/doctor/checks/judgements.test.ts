// What the checks make of what they are told: each kind of answer, without the machines that give it.

import { copyFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { sshCacheSchema } from "../../../src/config/cache-schema.js";
import { parseNixSettings, type NixSettings } from "../../../src/daemon/nix-settings.js";
import { judgeState } from "../../../src/doctor/checks/daemon.js";
import { judgeHook, ownHook, type HookFacts } from "../../../src/doctor/checks/hook.js";
import { traps, type TrapFacts } from "../../../src/doctor/checks/nix.js";
import { judgeKeys, judgeUrls, urlsOf, type UrlAnswers } from "../../../src/doctor/checks/permissions.js";
import { judgeSample } from "../../../src/doctor/checks/signatures.js";
import type { Finding } from "../../../src/doctor/finding.js";
import type { PathInfo } from "../../../src/protocol/path-info.js";
import { cacheStatus } from "../../support/status-report.js";
import { temporaryFolder } from "../../support/temp-folder.js";

function settings(values: Record<string, unknown> = {}): NixSettings {
  const entries = Object.entries(values).map(([name, value]) => [name, { value }]);
  return parseNixSettings(JSON.stringify(Object.fromEntries(entries)));
}

/** Marks a finding and everything that it says as one text. */
function shown({ mark, text, remedy }: Finding): string {
  return `${mark}: ${text}${remedy === null ? "" : ` -> ${remedy}`}`;
}

const pi = sshCacheSchema.parse({ host: "pi.local" });

describe("the URLs", () => {
  const ring = urlsOf({ name: "pi", config: pi, port: 37515 });
  const judge = (answers: Partial<UrlAnswers>): string =>
    shown(
      judgeUrls({
        ring,
        refused: new Set(),
        bareTaken: false,
        standing: "untrusted",
        system: settings(),
        ...answers,
      }),
    );

  test("are well where root has allowed all of them, or nobody has to", () => {
    expect(judge({})).toBe("ok: root has allowed all 16 of them");
    expect(judge({ standing: "root" })).toMatch(/^ok: you are root/);
    expect(judge({ standing: "own-store" })).toMatch(/^ok: Nix opens the store itself/);
  });

  test("are a failure where one is refused, and root is told which", () => {
    expect(judge({ refused: new Set(ring) })).toMatch(/^failure: Nix would ignore all its URLs.*seq 0 15/);
    expect(judge({ refused: new Set(ring), bareTaken: true })).toMatch(
      /^failure: Nix takes only its URL without/,
    );
    expect(judge({ refused: new Set([ring[3] as string, ring[7] as string]) })).toMatch(
      /^failure: Nix takes only 14 of its 16 URLs -> .*for n in 3 7;/,
    );
  });

  test("taken by the right of a trusted user are a warning, with what to do instead", () => {
    expect(judge({ standing: "trusted" })).toMatch(
      /^warning: Nix takes them because you are .*seq 0 15.* Then: Take your name/,
    );
    expect(judge({ standing: "trusted", system: settings({ "trusted-substituters": ring }) })).toMatch(
      /^warning: root has allowed all 16 of them; but .* -> Take your name/,
    );
  });
});

describe("the public keys", () => {
  const upstream = "cache.nixos.org-1:AAAA";
  const knows = (...keys: string[]): NixSettings => settings({ "trusted-public-keys": [upstream, ...keys] });
  const judge = (
    config: Partial<typeof pi>,
    standing: Parameters<typeof judgeKeys>[1],
    known: NixSettings,
  ): string => shown(judgeKeys({ ...pi, ...config }, standing, known));

  test("are well where Nix knows one, and those that the configuration names", () => {
    expect(judge({}, "untrusted", knows("pi-1:BBBB"))).toBe("ok: Nix knows pi-1");
    expect(judge({ "public-keys": ["pi-1:BBBB"] }, "untrusted", knows("pi-1:BBBB"))).toBe(
      "ok: Nix knows pi-1",
    );
    expect(judge({ "public-keys": ["pi-1:BBBB"] }, "trusted", knows())).toMatch(/^ok: pi-1, told to Nix/);
    expect(judge({ trusted: true }, "trusted", knows())).toMatch(/^ok: not needed/);
  });

  test("are a failure where Nix knows none, or another of the same name", () => {
    expect(judge({}, "untrusted", knows())).toMatch(
      /^failure: Nix knows no key but cache.nixos.org-1.* -> Let root/,
    );
    expect(judge({}, "own-store", knows())).toMatch(/^failure: .* as public-keys/);
    expect(judge({ "public-keys": ["pi-1:BBBB"] }, "untrusted", knows("pi-1:CCCC"))).toMatch(
      /^failure: Nix does not know pi-1 -> .*extra-trusted-public-keys = pi-1:BBBB'/,
    );
  });

  test("do not matter where no signatures are required, which is worse", () => {
    expect(judge({}, "untrusted", settings({ "require-sigs": false }))).toMatch(
      /^warning: require-sigs = false/,
    );
  });
});

describe("a sample of paths", () => {
  const path1: PathInfo = {
    path: "/nix/store/00000000000000000000000000000000-a",
    narHash: "0".repeat(64),
    narSize: 1,
    references: [],
    deriver: null,
    signatures: [],
    ca: null,
  };

  test("needs no signature where all is known by its content", () => {
    expect(shown(judgeSample([{ ...path1, ca: "fixed:r:sha256:x" }], []))).toMatch(/^skipped: /);
  });

  test("is a failure without any signature, and with those of unknown keys", () => {
    expect(shown(judgeSample([path1], []))).toMatch(
      /^failure: of 1 .* 0 are .* and 1 by none .*secret-key-files/,
    );
    const signed = { ...path1, signatures: ["pi-1:AAAA", "cache-1:AAAA"] };
    expect(shown(judgeSample([signed], ["pi-1:BBBB"]))).toMatch(/^failure: .*; others by cache-1, pi-1 -> /);
  });
});

describe("Nix's settings", () => {
  const well: TrapFacts = {
    settings: settings({ substitute: true, fallback: false }),
    system: settings({ "narinfo-cache-negative-ttl": 3600 }),
    version: "2.8.0",
    fetcherEnv: null,
    hasNetwork: true,
  };
  const judge = (facts: Partial<TrapFacts>): string[] => traps({ ...well, ...facts }).map(shown);

  test("are well as Nix has them by default", () => {
    expect(judge({})).toEqual([]);
  });

  test.each<[Partial<TrapFacts>, RegExp]>([
    [{ settings: settings({ substitute: false }) }, /^failure: substitute = false/],
    [{ settings: settings({ fallback: true }) }, /^warning: fallback = true.*2\.8\.0/],
    [
      { system: settings({ "narinfo-cache-negative-ttl": 86400 }) },
      /^warning: narinfo-cache-negative-ttl = 86400/,
    ],
    [{ fetcherEnv: { http_proxy: "http://proxy:3128" } }, /^failure: Nix fetches through a proxy/],
    [{ hasNetwork: false, settings: settings({ substitute: false }) }, /^warning: there is no address but/],
  ])("%o", (facts, expected) => {
    const found = judge(facts);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(expected);
  });

  test("that do no harm are not told", () => {
    expect(judge({ settings: settings({ fallback: true }), version: "2.34.8" })).toEqual([]);
    const env = { http_proxy: "http://proxy:3128", no_proxy: "localhost,127.0.0.1" };
    expect(judge({ fetcherEnv: env })).toEqual([]);
    expect(judge({ fetcherEnv: { https_proxy: "http://proxy:3128" } })).toEqual([]);
  });
});

describe("the daemon's word", () => {
  test.each([
    [{ state: "online", listed: true }, true, /^ok: online at .* and Nix is told of it/],
    [
      { state: "online", listed: false },
      true,
      /^warning: .*but Nix is not told of it -> `nix-tether status pi`/,
    ],
    [{ state: "online", listed: true }, false, /^warning: the daemon says that it is online/],
    [
      { state: "waiting", reason: "no key" },
      true,
      /^failure: .*other than this command: no key -> `nix-tether resume pi`/,
    ],
    [{ state: "offline", reason: "away" }, false, /^ok: the daemon says the same: away/],
    [{ state: "paused" }, true, /^warning: paused by you.* -> `nix-tether resume pi`/],
    [{ state: "connecting" }, true, /^ok: the daemon is connecting/],
  ] as const)("%o, reached here: %s", (status, reached, expected) => {
    expect(shown(judgeState("pi", cacheStatus("pi", status), reached))).toMatch(expected);
  });
});

describe("the hook", () => {
  const conf = (text: string): string => {
    const file = path.join(temporaryFolder(), "hook.conf");
    writeFileSync(file, text);
    return file;
  };
  const judge = (hook: string, facts: Partial<HookFacts> = {}): string =>
    shown(judgeHook(hook, { alone: true, user: "ada", conf: "/nonexistent", openAt: () => null, ...facts }));

  test("that is not set, or not there, is a failure with the line to add", () => {
    expect(judge("")).toContain(`failure: Nix runs no post-build hook`);
    expect(judge("")).toContain(`post-build-hook = ${ownHook}`);
    expect(judge("/nonexistent/hook.sh")).toMatch(/^failure: .*every build fails with it.*ENOENT/);
  });

  test("that is another's is to be chained", () => {
    expect(judge("/bin/sh")).toMatch(/^warning: Nix runs another.* -> Name it in .* as chain = \/bin\/sh/);
  });

  const copyOfOurs = (): string => {
    const file = path.join(temporaryFolder(), "post-build-hook.sh");
    copyFileSync(ownHook, file);
    return file;
  };

  test("that root runs and others can write is a danger", () => {
    const file = copyOfOurs();
    expect(judge(file, { alone: false, openAt: path.dirname })).toMatch(
      /^failure: DANGER: root runs .* -> Copy it.*`sudo install /,
    );
    expect(judge(file, { openAt: path.dirname })).toMatch(/^ok: /);
  });

  test("that root runs must name the user", () => {
    const file = copyOfOurs();
    const facts = (text: string): { alone: false; conf: string } => ({ alone: false, conf: conf(text) });
    expect(judge(file, facts("# none\nuser = eve\n"))).toMatch(/^failure: .*does not name you.*'user = ada'/);
    expect(judge(file, facts("user = eve\nuser = ada 1000:1000 /x\n"))).toBe(
      `ok: Nix runs ${file}, for eve, ada`,
    );
    // What a wrapper tells the hook is its own business.
    writeFileSync(file, `#!/bin/sh\nNIX_TETHER_HOOK_CONF=/x exec ${ownHook}\n`);
    expect(judge(file, facts(""))).toBe(`ok: Nix runs ${file}`);
  });
});
