import { describe, expect, test } from "vitest";
import { waybarLine, waybarTrouble } from "../../src/cli/waybar-line.js";
import type { StatusReport } from "../../src/control/messages.js";
import { brokenStatus, cacheStatus, statusReport } from "../support/status-report.js";

function shown(report: StatusReport, names = Object.keys(report.caches)): Record<string, unknown> {
  const line = waybarLine(report, names);
  expect(line.match(/\n/g)).toEqual(["\n"]);
  return JSON.parse(line) as Record<string, unknown>;
}

const transfer = (sent: number): StatusReport["caches"][string]["transfers"][number] => ({
  path: `/nix/store/${"0".repeat(32)}-big-1.0`,
  size: 4 << 20,
  sent,
  since: "2026-11-22T09:59:58.000Z",
  waiting: false,
});

describe("the line for a bar", () => {
  test("of a cache that is online", () => {
    expect(shown(statusReport({ pi: cacheStatus("pi") }))).toEqual({
      text: "pi",
      alt: "online",
      tooltip: "pi: online at 192.168.1.20, gave 12 of 40 paths, 34.5 MiB",
      class: ["online"],
    });
  });

  test("says what is on its way, how far it has come, and what is to be mended", () => {
    const report = statusReport(
      {
        pi: cacheStatus("pi", { transfers: [transfer(1 << 20), transfer(3 << 20)] }),
        nas: brokenStatus("nas", "nas.local does not answer"),
      },
      {
        uploads: {
          waiting: 2,
          uploaded: 0,
          failed: 0,
          skipped: 0,
          targets: {
            pi: {
              waiting: 2,
              setAside: 0,
              uploaded: 0,
              bytes: 0,
              left: 8 << 20,
              rate: 1,
              state: "copying",
              reason: null,
              now: null,
              going: { paths: 2, size: 8 << 20, sent: 0 },
            },
          },
        },
        warnings: [{ code: "agent-empty", cache: "nas", text: "The agent holds no key", since: "" }],
      },
    );
    expect(shown(report)).toEqual({
      text: "pi, nas waiting ↓ ↑ !",
      alt: "partly",
      tooltip: [
        "pi: online at 192.168.1.20, gave 12 of 40 paths, 34.5 MiB",
        "nas: waiting: nas.local does not answer",
        "↓ big-1.0: 1.0 MiB of 4.0 MiB",
        "↓ big-1.0: 3.0 MiB of 4.0 MiB",
        "↑ 2 paths: 0 B of 8.0 MiB",
        "2 uploads waiting",
        "! nas: The agent holds no key",
      ].join("\n"),
      class: ["partly", "down", "up", "warning"],
      percentage: 25,
    });
    expect(shown(report, ["nas"])).toMatchObject({ text: "nas waiting !", alt: "waiting" });
  });

  test.each([
    [["offline", "waiting"], "waiting"],
    [["paused", "offline"], "offline"],
    [["paused", "paused"], "paused"],
    [["offline", "connecting"], "connecting"],
    [["online", "online"], "online"],
    [[], "offline"],
  ] as const)("of caches that are %j has the icon of %s", (states, alt) => {
    const caches = states.map((state, index) => [`c${index}`, cacheStatus(`c${index}`, { state })] as const);
    expect(shown(statusReport(Object.fromEntries(caches)))).toMatchObject({ alt, class: [alt] });
  });

  test("nothing that a machine says becomes markup or another line", () => {
    const reason = "<span foreground='red'>&\nnew\u001b[31m line</span>";
    const { tooltip } = shown(statusReport({ nas: brokenStatus("nas", reason) }));
    expect(tooltip).toBe("nas: waiting: &lt;span foreground='red'&gt;&amp; new line&lt;/span&gt;");
    expect(JSON.parse(waybarTrouble("a < b"))).toEqual({
      text: "stopped",
      alt: "stopped",
      tooltip: "a &lt; b",
      class: ["stopped"],
    });
  });
});
