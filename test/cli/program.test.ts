import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { stripVTControlCharacters } from "node:util";
import { describe, expect, test } from "vitest";
import type { ControlRequest } from "../../src/control/messages.js";
import { daemon, shell } from "../support/shell.js";
import { brokenStatus, cacheStatus, statusReport, uploadTarget } from "../support/status-report.js";

const online = statusReport({ pi: cacheStatus("pi") });
const mixed = statusReport({ pi: cacheStatus("pi"), nas: brokenStatus("nas", "no route") });

const noDaemon =
  "nix-tether: no daemon is running\nStart it: systemctl --user start nix-tether (or: nix-tether run)\n";

describe("status", () => {
  test("is a table, and its code tells whether all that was asked about is online", async () => {
    const here = shell();
    await daemon(here, () => mixed);
    expect(await here.run("status")).toEqual({
      code: 3,
      err: "",
      out: `\
CACHE  STATE    FOR     WHERE              VIA     IN NIX  GIVEN
pi     online   2 h     192.168.1.20       socket  yes     12 of 40 paths (30 %), 34.5 MiB
nas    waiting  10 min  raspberrypi.local  -       no      nothing yet
    no route (next try in 40 s)
`,
    });
    expect(await here.run("status", "pi")).toMatchObject({ code: 0 });
    expect(await here.run("status", "nas", "--quiet")).toEqual({ code: 3, out: "", err: "" });
  });

  test("in JSON is the report to the letter", async () => {
    const here = shell();
    await daemon(here, () => mixed);
    expect(await here.run("status", "--json")).toEqual({
      code: 3,
      out: `${JSON.stringify(mixed, null, 2)}\n`,
      err: "",
    });
  });

  test("without caches is well", async () => {
    const here = shell();
    await daemon(here, () => statusReport({}));
    expect(await here.run("status")).toEqual({ code: 0, out: "No caches are configured.\n", err: "" });
  });

  test("of an unknown cache names the known ones", async () => {
    const here = shell();
    await daemon(here, () => mixed);
    expect(await here.run("status", "nsa")).toEqual({
      code: 2,
      out: "",
      err: "nix-tether: there is no cache named nsa, did you mean nas?\nThe caches are: pi, nas\n",
    });
    expect(await here.run("status", "constructor")).toMatchObject({ code: 2 });
  });

  test.each([[], ["--json"], ["pi"]])("without a daemon says so on stderr (%j)", async (...more) => {
    expect(await shell().run("status", ...more)).toEqual({ code: 4, out: "", err: noDaemon });
  });

  test("while the daemon starts fails", async () => {
    const here = shell();
    await daemon(here, () => ({ ok: false, code: "starting", message: "the daemon is still starting" }));
    expect(await here.run("status")).toEqual({
      code: 1,
      out: "",
      err: "nix-tether: the daemon is still starting\n",
    });
  });

  test("is coloured on a terminal, unless NO_COLOR is set, and fits it", async () => {
    const here = shell({ columns: 100 });
    await daemon(here, () => online);
    expect((await here.run("status")).out).toContain("\u001b[32monline");
    here.env["NO_COLOR"] = "1";
    expect((await here.run("status")).out).toMatch(/^CACHE {2}STATE/);
    here.env["COLUMNS"] = "40";
    expect((await here.run("status")).out).toMatch(/^pi: online for 2 h\n/);
  });
});

describe("status --watch", () => {
  test.each([
    [0, 3],
    [3, 2],
  ])("on a terminal of %d lines shows %d", async (rows, count) => {
    const stop = new AbortController();
    const here = shell({ columns: 100, rows, interrupted: stop.signal, onWrite: () => stop.abort() });
    await daemon(here, () => statusReport({ pi: cacheStatus("pi"), nas: cacheStatus("nas") }));
    const { code, out } = await here.run("status", "--watch");
    expect(code).toBe(0);
    expect(out.split("\u001b[K\n")).toHaveLength(count + 1);
  });

  test("on a pipe prints again when something has changed, and ends with the last code", async () => {
    const stop = new AbortController();
    const here = shell({ interrupted: stop.signal });
    const reports = [mixed, mixed, online];
    await daemon(here, () => {
      const next = reports.shift();
      if (next === undefined) stop.abort();
      return next ?? online;
    });
    const { code, out } = await here.run("status", "--watch");
    expect(code).toBe(0);
    expect(out.match(/^CACHE/gm)).toHaveLength(2);
    expect(out.match(/no route/g)).toHaveLength(1);
  }, 20_000);

  test("on a pipe says nothing of counters that go on by themselves", async () => {
    const stop = new AbortController();
    const here = shell({ interrupted: stop.signal });
    let narBytes = 0;
    await daemon(here, () => {
      narBytes += 1_000;
      if (narBytes > 3_000) stop.abort();
      const targets = { pi: uploadTarget({ state: "copying", bytes: narBytes, left: 9_000 - narBytes }) };
      return statusReport(
        { pi: cacheStatus("pi", { narBytes }) },
        { uploads: { waiting: 1, uploaded: 0, failed: 0, skipped: 0, targets } },
      );
    });
    const { out } = await here.run("status", "--watch");
    expect(out.match(/^CACHE/gm)).toHaveLength(1);
  }, 20_000);

  test("on a terminal shows what goes up and down, but not in plain", async () => {
    for (const plain of [false, true]) {
      const stop = new AbortController();
      const here = shell({ columns: 80, rows: 24, interrupted: stop.signal });
      here.env["LANG"] = "C.UTF-8";
      let narBytes = 0;
      await daemon(here, () => {
        narBytes += 4_096;
        if (narBytes > 8_192) stop.abort();
        return statusReport({ pi: cacheStatus("pi", { narBytes }) });
      });
      const { out } = await here.run("status", "--watch", ...(plain ? ["--plain"] : []));
      if (plain) {
        expect(out).toMatch(/^pi is online for 2 hours, .* in all\.\n$/);
        expect(out).toBe(stripVTControlCharacters(out));
      } else {
        expect(stripVTControlCharacters(out)).toMatch(/\ndown +█+ +[\d.]+ KiB\/s\nup +▁+ +0 B\/s\n/);
      }
    }
  }, 20_000);

  test("on a terminal draws over itself, and bears that no daemon runs", async () => {
    const stop = new AbortController();
    const here = shell({ columns: 100, interrupted: stop.signal, onWrite: () => stop.abort() });
    const { code, out, err } = await here.run("status", "--watch");
    expect({ code, err }).toEqual({ code: 4, err: "" });
    expect(out).toContain("\u001b[Hnix-tether: no daemon is running\u001b[K\n");
    expect(out.endsWith("\u001b[J")).toBe(true);
  });

  test("says on stderr that no daemon runs, once, where stdout is read by a program", async () => {
    const stop = new AbortController();
    // Long enough after the first word for a second look, which has nothing new to say.
    const onWrite = (): void => void setTimeout(() => stop.abort(), 1500);
    const here = shell({ interrupted: stop.signal, onWrite });
    expect(await here.run("status", "--watch", "--json")).toEqual({ code: 4, out: "", err: noDaemon });
  });
});

describe("status --format waybar", () => {
  test("is one line that says what can be said, and ends with 0, for Waybar hides what does not", async () => {
    const here = shell();
    const silent = await here.run("status", "--format", "waybar");
    expect(silent).toMatchObject({ code: 0, err: "" });
    expect(JSON.parse(silent.out)).toMatchObject({ text: "stopped", tooltip: "no daemon is running" });
    await daemon(here, () => mixed);
    const { code, out, err } = await here.run("status", "--format", "waybar");
    expect([code, err]).toEqual([0, ""]);
    expect(JSON.parse(out)).toMatchObject({ alt: "partly" });
    expect(JSON.parse((await here.run("status", "pi", "--format", "waybar")).out)).toMatchObject({
      text: "pi",
    });
    expect(await here.run("status", "oi", "--format", "waybar")).toMatchObject({ code: 2, out: "" });
  });

  test("with --watch is another line only when it is another one", async () => {
    const stop = new AbortController();
    const here = shell({ columns: 100, interrupted: stop.signal });
    const reports = [mixed, mixed, online];
    await daemon(here, () => {
      const next = reports.shift();
      if (next === undefined) stop.abort();
      return next ?? online;
    });
    const { code, out } = await here.run("status", "--format", "waybar", "--watch");
    expect(code).toBe(0);
    const lines = out.trimEnd().split("\n");
    expect(lines.map((line) => (JSON.parse(line) as { alt: string }).alt)).toEqual(["partly", "online"]);
  }, 20_000);
});

describe("pause, resume and connect", () => {
  test("ask the daemon and show what follows", async () => {
    const here = shell();
    const asked: ControlRequest[] = [];
    await daemon(here, (request) => {
      asked.push(request);
      return online;
    });
    expect(await here.run("pause", "pi")).toMatchObject({
      code: 0,
      out: expect.stringContaining("pi     online") as string,
    });
    expect(await here.run("resume")).toMatchObject({ code: 0 });
    expect(await here.run("connect", "pi")).toMatchObject({ code: 0 });
    expect(asked).toEqual([
      { command: "pause", cache: "pi" },
      { command: "resume", cache: null },
      { command: "connect", cache: "pi" },
    ]);
  });

  test("of an unknown cache end as the daemon says", async () => {
    const here = shell();
    await daemon(here, () => ({
      ok: false,
      code: "unknown-cache",
      message: "there is no cache named x",
      remedy: "The caches are: pi",
    }));
    expect(await here.run("pause", "x")).toEqual({
      code: 2,
      out: "",
      err: "nix-tether: there is no cache named x\nThe caches are: pi\n",
    });
  });

  test("need a daemon", async () => {
    expect(await shell().run("resume")).toEqual({ code: 4, out: "", err: noDaemon });
  });
});

describe("unlist", () => {
  const listed =
    "extra-substituters = http://127.0.0.1:37515/pi?priority=30 http://127.0.0.1:37515/nas?priority=30\n";

  test("empties the override, and is silent when that is done", async () => {
    const here = shell();
    const file = path.join(here.root, "config/nix/nix-tether.conf");
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, listed);
    expect(await here.run("unlist")).toEqual({ code: 0, out: "unlisted pi, nas\n", err: "" });
    expect(readFileSync(file, "utf8")).not.toContain("extra");
    expect(await here.run("unlist")).toEqual({ code: 0, out: "", err: "" });
  });

  test("needs no file, no runtime folder and no configuration", async () => {
    const here = shell();
    delete here.env["XDG_RUNTIME_DIR"];
    expect(await here.run("unlist")).toEqual({ code: 0, out: "", err: "" });
  });

  test("says when it can not", async () => {
    const here = shell();
    mkdirSync(path.join(here.root, "config/nix/nix-tether.conf"), { recursive: true });
    expect(await here.run("unlist")).toMatchObject({
      code: 1,
      err: expect.stringMatching(
        /^nix-tether: the override .* can not be written: it is a folder\nMake /,
      ) as string,
    });
  });
});

describe("run", () => {
  test("tells where a configuration belongs", async () => {
    const here = shell();
    expect(await here.run("run")).toEqual({
      code: 2,
      out: "",
      err: `nix-tether: there is no configuration at ${here.root}/config/nix-tether/config.toml
Write one there, for example:
[caches.pi]
host = "raspberrypi.local"
`,
    });
  });

  test("tells all that is wrong with it", async () => {
    const here = shell();
    const file = path.join(here.root, "other.toml");
    writeFileSync(file, "[caches.pi]\nport = 0\n");
    expect(await here.run("run", "--config", file)).toEqual({
      code: 2,
      out: "",
      err: `nix-tether: ${file}: 2 problems
  line 1: caches.pi.host: missing, expected a host name, address or ssh alias
  line 2: caches.pi.port: found 0, expected a whole number from 1 to 65535
`,
    });
  });
});

describe("the command line", () => {
  test.each([
    [["stats"], "unknown command: stats, did you mean status?"],
    [["frobnicate"], "unknown command: frobnicate"],
    [["status", "--jsn"], "unknown option: --jsn, did you mean --json?"],
    [["run", "--cofnig=x"], "unknown option: --cofnig, did you mean --config?"],
    [["status", "-x"], "unknown option: -x"],
    [["pause", "--json"], "pause takes no --json"],
    [["--frobnicate"], "unknown option: --frobnicate"],
    [["status", "pi", "nas"], "unexpected argument: nas"],
    [["unlist", "pi"], "unexpected argument: pi"],
    [["status", "--json", "--quiet"], "--quiet and --json do not go together"],
    [["run", "--config"], "--config needs a value behind it"],
    [["doctor", "--nope"], "unknown option: --nope"],
    [["explain"], "too few words: it is nix-tether explain <path>"],
    [["queue"], "too few words: it is nix-tether queue <list|retry|drop> [path...]"],
    [["build"], "too few words: it is nix-tether build <cache> [-- arg...]"],
    [["queue", "lst"], "unknown action: lst, did you mean list?"],
    [["completion", "ksh"], "unknown shell: ksh, did you mean zsh?"],
    [["status", "--format", "i3"], "unknown format: i3; it is one of: waybar"],
    [[], "say what to do"],
  ])("%j", async (argv, message) => {
    expect(await shell().run(...argv)).toEqual({
      code: 2,
      out: "",
      err: `nix-tether: ${message}\nSee nix-tether --help.\n`,
    });
  });

  test("--help names every command, and --version the package's version", async () => {
    const { code, out, err } = await shell().run("--help");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect([...out.matchAll(/^ {2}nix-tether (\w+)/gm)].map(([, name]) => name)).toEqual([
      "run",
      "status",
      "doctor",
      "trust",
      "unlist",
      "pause",
      "resume",
      "connect",
      "explain",
      "enqueue",
      "queue",
      "build",
      "farm",
      "hook",
      "completion",
      "demo",
      "push",
      "gc",
      "fsck",
      "serve",
    ]);
    const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
      version: string;
    };
    expect(await shell().run("--version")).toEqual({ code: 0, out: `${version}\n`, err: "" });
  });

  test("a failure shows where it came from only when debugging", async () => {
    const here = shell();
    here.env["NIX_TETHER_LOG"] = "debug";
    expect((await here.run("status")).err).toMatch(
      /^nix-tether: no daemon is running\nStart it.*\nTetherError: .*\n {4}at /,
    );
  });
});
