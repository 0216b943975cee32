import { stripVTControlCharacters } from "node:util";
import { describe, expect, test } from "vitest";
import { statusText } from "../../src/cli/status-text.js";
import type { CacheStatus, StatusReport } from "../../src/control/messages.js";
import {
  brokenStatus,
  cacheStatus,
  reportTime,
  statusReport,
  uploadTarget,
} from "../support/status-report.js";
import { storePath } from "../support/store-paths.js";

const look = { now: reportTime, width: Infinity, colour: false, plain: false, blocks: true };

function shown(report: StatusReport, width = Infinity, names = Object.keys(report.caches)): string {
  return statusText(report, names, { ...look, width });
}

const full = statusReport(
  {
    pi: cacheStatus("pi"),
    attic: cacheStatus("attic", {
      state: "connecting",
      since: "2026-11-22T09:59:58.000Z",
      host: "attic",
      address: null,
      reason: "found, connecting",
      listed: false,
      transport: null,
      lookups: 0,
      hits: 0,
      narBytes: 0,
    }),
    nas: brokenStatus("nas", "the host key of nas.local is not known", { host: "nas.local" }),
    old: cacheStatus("old", {
      address: "fe80::1%eth0",
      port: 2222,
      transport: "stdio",
      lookups: 1,
      hits: 1,
      narBytes: 512,
    }),
    shed: brokenStatus("shed", "paused by you", { state: "paused", host: "shed.local", retryAt: null }),
  },
  {
    uploads: {
      waiting: 41,
      uploaded: 5,
      failed: 0,
      skipped: 7,
      targets: {
        pi: uploadTarget({
          state: "copying",
          waiting: 41,
          uploaded: 5,
          bytes: 536_870_912,
          left: 1_288_490_188,
          rate: 11_744_051,
          now: storePath("firefox-132.0"),
          going: { paths: 12, size: 356_515_840, sent: 126_143_693 },
        }),
        shed: uploadTarget({ state: "offline", waiting: 3, left: 4096 }),
        nas: uploadTarget({ state: "offline" }),
      },
    },
    warnings: [
      {
        code: "host-key-unknown",
        cache: "nas",
        text: "the host key of nas.local is not known. Connect once with ssh nas.local and check it.",
        since: "2026-11-22T09:50:00.000Z",
      },
      {
        code: "agent-locked",
        cache: "pi",
        text: "the ssh-agent is locked; run ssh-add -X",
        since: "2026-11-22T09:00:00.000Z",
      },
      {
        code: "override-unwritable",
        cache: null,
        text: "the override can not be written",
        since: "2026-11-22T09:00:00.000Z",
      },
    ],
  },
);

describe("the table", () => {
  test("shows each cache, why it is not in use, and what to do", () => {
    expect(shown(full)).toBe(`\
CACHE  STATE       FOR     WHERE                VIA     IN NIX  GIVEN
pi     online      2 h     192.168.1.20         socket  yes     12 of 40 paths (30 %), 34.5 MiB
    uploads: copying firefox-132.0, 120.3 of 340.0 MiB, 11.2 MiB/s, 1 min left; 41 paths to go; 5 paths (512.0 MiB) done
attic  connecting  2 s     attic                -       no      nothing yet
    found, connecting
nas    waiting     10 min  nas.local            -       no      nothing yet
    the host key of nas.local is not known. Connect once with ssh nas.local and check it. (next try in 40 s)
old    online      2 h     [fe80::1%eth0]:2222  stdio   yes     1 of 1 path (100 %), 512 B
shed   paused      10 min  shed.local           -       no      nothing yet
    paused by you
    uploads: 3 paths (4.0 KiB) waiting until it is resumed

7 paths not uploaded, as configured

! pi: the ssh-agent is locked; run ssh-add -X
! the override can not be written
`);
  });

  test("of one cache leaves out what is not about it", () => {
    expect(shown(full, Infinity, ["nas"])).toBe(`\
CACHE  STATE    FOR     WHERE      VIA  IN NIX  GIVEN
nas    waiting  10 min  nas.local  -    no      nothing yet
    the host key of nas.local is not known. Connect once with ssh nas.local and check it. (next try in 40 s)
`);
  });

  test("wraps sentences to the terminal", () => {
    expect(shown(full, 80, ["nas"])).toBe(`\
CACHE  STATE    FOR     WHERE      VIA  IN NIX  GIVEN
nas    waiting  10 min  nas.local  -    no      nothing yet
    the host key of nas.local is not known. Connect once with ssh nas.local and
    check it. (next try in 40 s)
`);
  });
});

test("a terminal of 80 columns gets a table without what is least missed", () => {
  const text = shown(statusReport({ pi: cacheStatus("pi") }), 80);
  expect(text).toBe(`\
CACHE  STATE   FOR  WHERE         IN NIX  GIVEN
pi     online  2 h  192.168.1.20  yes     12 of 40 paths (30 %), 34.5 MiB
`);
  expect(shown(statusReport({ pi: cacheStatus("pi") }), 81)).toContain("VIA");
});

describe("the plain form", () => {
  const plain = (report: StatusReport, width = 40): string =>
    statusText(report, Object.keys(report.caches), { ...look, width, plain: true });

  test("has a line of sentences for each cache and each warning", () => {
    expect(plain(full)).toBe(`\
pi is online for 2 hours, at 192.168.1.20. Nix uses it. It has given 12 of 40 paths that it was asked for, 30 percent, 34.5 MiB in all. Uploads: copying firefox-132.0, 120.3 of 340.0 MiB, 11.2 MiB/s, 1 min left; 41 paths to go; 5 paths (512.0 MiB) done.
attic is connecting for 2 seconds, at attic. Nix does not use it. It has given nothing yet. Found, connecting.
nas is waiting for 10 minutes, at nas.local. Nix does not use it. It has given nothing yet. The host key of nas.local is not known. Connect once with ssh nas.local and check it. (next try in 40 s)
old is online for 2 hours, at [fe80::1%eth0]:2222. Nix uses it. It has given 1 of 1 path that it was asked for, 100 percent, 512 B in all.
shed is paused for 10 minutes, at shed.local. Nix does not use it. It has given nothing yet. Paused by you. Uploads: 3 paths (4.0 KiB) waiting until it is resumed.
7 paths not uploaded, as configured.
Warning: pi: the ssh-agent is locked; run ssh-add -X.
Warning: the override can not be written.
`);
  });

  test("says what root must do, and that there is nothing", () => {
    const warnings = [{ code: "url-not-allowed", cache: "pi", text: "Root must allow it.", since: "" }];
    const report = statusReport({ pi: cacheStatus("pi", { listed: false }) }, { warnings });
    expect(plain(report)).toContain("Nix does not use it: root must allow it. ");
    expect(plain(statusReport({}))).toBe("No caches are configured.\n");
  });

  test("draws nothing", () => {
    expect(plain(full)).toMatch(/^[\u0020-\u007e\n]*$/);
  });
});

test("another way than the first is named, and that nothing is uploaded over it", () => {
  const by = (host: string, uploads: boolean, more: Partial<CacheStatus> = {}): string =>
    shown(statusReport({ pi: cacheStatus("pi", { way: { host, uploads }, ...more }) }));
  expect(by("pi.vpn", false)).toMatch(/^pi .*\n {4}reached as pi\.vpn, without uploads\n/m);
  expect(by("pi.vpn", true)).toMatch(/^pi .*\n {4}reached as pi\.vpn\n/m);
  expect(by("raspberrypi.local", false)).toMatch(/^pi .*\n {4}without uploads\n/m);
  expect(by("raspberrypi.local", false, { type: "http" })).not.toContain("without uploads");
  expect(by("raspberrypi.local", true)).not.toMatch(/^ {4}/m);
});

test("a narrow terminal gets a few short lines for each cache", () => {
  expect(shown(full, 40)).toBe(`\
pi: online for 2 h
  at 192.168.1.20, by socket
  in Nix: yes
  given: 12 of 40 paths (30 %), 34.5 MiB
  uploads: copying firefox-132.0, 120.3
  of 340.0 MiB, 11.2 MiB/s, 1 min left;
  41 paths to go; 5 paths (512.0 MiB)
  done
attic: connecting for 2 s
  at attic
  in Nix: no
  given: nothing yet
  found, connecting
nas: waiting for 10 min
  at nas.local
  in Nix: no
  given: nothing yet
  the host key of nas.local is not
  known. Connect once with ssh nas.local
  and check it. (next try in 40 s)
old: online for 2 h
  at [fe80::1%eth0]:2222, by stdio
  in Nix: yes
  given: 1 of 1 path (100 %), 512 B
shed: paused for 10 min
  at shed.local
  in Nix: no
  given: nothing yet
  paused by you
  uploads: 3 paths (4.0 KiB) waiting
  until it is resumed

7 paths not uploaded, as configured

! pi: the ssh-agent is locked; run
  ssh-add -X
! the override can not be written
`);
});

test("a cache that is listed is in Nix only where Nix reads the list and takes the URL", () => {
  const inNix = (warnings: { code: string; cache: string | null }[], listed: boolean): string => {
    const told = warnings.map((one) => ({ ...one, text: "…", since: "2026-11-22T09:00:00.000Z" }));
    const text = shown(statusReport({ pi: cacheStatus("pi", { listed }) }, { warnings: told }));
    return /socket +(.*?) +12 of/.exec(text)?.[1] ?? text;
  };
  expect(inNix([], true)).toBe("yes");
  expect(inNix([{ code: "override-not-included", cache: null }], true)).toBe("no");
  expect(inNix([{ code: "url-not-allowed", cache: "pi" }], false)).toBe("no: root must allow it");
  expect(inNix([{ code: "url-not-allowed", cache: "nas" }], true)).toBe("yes");
  expect(inNix([{ code: "urls-missing", cache: "pi" }], true)).toBe("yes");
});

test("colours change nothing but the colour", () => {
  for (const width of [Infinity, 80, 40]) {
    const text = statusText(full, Object.keys(full.caches), { ...look, width, colour: true });
    expect(text).toContain("\u001b[32monline");
    expect(text).toContain("\u001b[31mwaiting");
    expect(stripVTControlCharacters(text)).toBe(shown(full, width));
  }
});

test("no caches", () => {
  expect(shown(statusReport({}))).toBe("No caches are configured.\n");
});

test("what a machine says of itself can not draw on the screen", () => {
  const report = statusReport(
    { pi: brokenStatus("pi", "\u001b[2Jgone\nCACHE", { host: "a\u001b[31mb" }) },
    {
      warnings: [
        { code: "x", cache: null, text: "\u001b]0;title\u0007y", since: "2026-11-22T09:00:00.000Z" },
      ],
    },
  );
  // oxlint-disable-next-line no-control-regex
  expect(shown(report)).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
  expect(shown(report)).toContain("    gone CACHE (next try in 40 s)\n");
});
