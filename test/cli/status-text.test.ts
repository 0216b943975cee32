import { stripVTControlCharacters } from "node:util";
import { describe, expect, test } from "vitest";
import { statusText } from "../../src/cli/status-text.js";
import type { StatusReport } from "../../src/control/messages.js";
import { brokenStatus, cacheStatus, reportTime, statusReport } from "../support/status-report.js";

function shown(report: StatusReport, width = Infinity, names = Object.keys(report.caches)): string {
  return statusText(report, names, { now: reportTime, width, colour: false });
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
    uploads: { waiting: 2, uploaded: 5, failed: 0, skipped: 0, targets: {} },
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
pi     online      2 h     192.168.1.20         socket  yes     12 of 40 paths, 34.5 MiB
attic  connecting  2 s     attic                -       no      nothing yet
    found, connecting
nas    waiting     10 min  nas.local            -       no      nothing yet
    the host key of nas.local is not known. Connect once with ssh nas.local and check it. (next try in 40 s)
old    online      2 h     [fe80::1%eth0]:2222  stdio   yes     1 of 1 path, 512 B
shed   paused      10 min  shed.local           -       no      nothing yet
    paused by you

Uploads: 2 waiting, 5 done, 0 failed

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

test("a narrow terminal gets a few short lines for each cache", () => {
  expect(shown(full, 40)).toBe(`\
pi: online for 2 h
  at 192.168.1.20, by socket
  in Nix: yes
  given: 12 of 40 paths, 34.5 MiB
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
  given: 1 of 1 path, 512 B
shed: paused for 10 min
  at shed.local
  in Nix: no
  given: nothing yet
  paused by you

Uploads: 2 waiting, 5 done, 0 failed

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
    const text = statusText(full, Object.keys(full.caches), { now: reportTime, width, colour: true });
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
