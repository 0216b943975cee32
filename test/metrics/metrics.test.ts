// A report as Prometheus reads it.

import { describe, expect, test } from "vitest";
import { metricsText } from "../../src/metrics/metrics.js";
import { parsePrometheusText, type MetricFamily } from "../support/prometheus-text.js";
import { brokenStatus, cacheStatus, statusReport } from "../support/status-report.js";

const secret = "/run/user/1000/secret";
const transfer = { path: `/nix/store/${"0".repeat(32)}-x`, size: 9, sent: 1, since: "", waiting: false };
const report = statusReport(
  {
    pi: cacheStatus("pi", { resumed: 2, abandoned: 1, losses: 3, unsigned: 4, transfers: [transfer] }),
    nas: brokenStatus("nas", `${secret} is not there`),
  },
  {
    uploads: {
      waiting: 5,
      uploaded: 6,
      failed: 7,
      skipped: 0,
      targets: {
        pi: {
          waiting: 5,
          setAside: 7,
          uploaded: 6,
          bytes: 8,
          left: 9,
          rate: 10,
          going: null,
          state: "copying",
          reason: null,
          now: transfer.path,
        },
      },
    },
    warnings: [
      { code: "agent-locked", cache: "nas", text: secret, since: "" },
      { code: "override-not-included", cache: null, text: secret, since: "" },
    ],
  },
);

async function families(of = report): Promise<Map<string, MetricFamily>> {
  return parsePrometheusText(await metricsText(of, "1.2.3"));
}

describe("the metrics", () => {
  test("tell what the report tells", async () => {
    const all = await families();
    const value = (name: string, labels = ""): number | undefined => all.get(name)?.samples.get(labels);
    expect([...(all.get("nix_tether_cache_state")?.samples ?? [])].filter(([, set]) => set === 1)).toEqual([
      ['{cache="pi",state="online"}', 1],
      ['{cache="nas",state="waiting"}', 1],
    ]);
    const pi = '{cache="pi"}';
    const expected = {
      build_info: ['{version="1.2.3"}', 1],
      cache_listed: [pi, 1],
      cache_generation: [pi, 3],
      link_losses_total: [pi, 3],
      lookups_total: [pi, 40],
      lookup_hits_total: [pi, 12],
      nar_sent_bytes_total: [pi, 36_175_872],
      nars_resumed_total: [pi, 2],
      nars_abandoned_total: [pi, 1],
      nars_in_progress: [pi, 1],
      unsigned_paths: [pi, 4],
      uploads_waiting: [pi, 5],
      uploads_left_bytes: [pi, 9],
      uploads_set_aside: [pi, 7],
      uploaded_paths_total: [pi, 6],
      uploaded_bytes_total: [pi, 8],
    } as const;
    for (const [name, [labels, number]] of Object.entries(expected))
      expect([name, value(`nix_tether_${name}`, labels)]).toEqual([name, number]);
    expect(value("nix_tether_cache_listed", '{cache="nas"}')).toBe(0);
    expect([...(all.get("nix_tether_warnings")?.samples.keys() ?? [])]).toEqual([
      '{code="agent-locked",cache="nas"}',
      '{code="override-not-included",cache=""}',
    ]);
    expect([...all.keys()].filter((name) => name.startsWith("nix_tether_"))).toHaveLength(
      Object.keys(expected).length + 2,
    );
  });

  test("tell what the process costs", async () => {
    const all = await families();
    const value = (name: string): number => all.get(name)?.samples.get("") ?? Number.NaN;
    expect(value("process_resident_memory_bytes")).toBeGreaterThan(10e6);
    expect(value("nodejs_heap_size_used_bytes")).toBeGreaterThan(1e6);
    expect(value("process_open_fds")).toBeGreaterThan(3);
    expect(value("process_cpu_seconds_total")).toBeGreaterThan(0);
    expect(value("nodejs_eventloop_lag_seconds")).toBeGreaterThanOrEqual(0);
    const age = Date.now() / 1000 - value("process_start_time_seconds");
    expect(age).toBeGreaterThan(0);
    expect(age).toBeLessThan(3_600);
  });

  test("hold no text of a report: no path, no address, no reason", async () => {
    const text = await metricsText(report, "1.2.3");
    for (const word of [secret, "/nix/store", "192.168", "raspberrypi", "/home"])
      expect(text).not.toContain(word);
  });

  test("are there without caches, uploads and warnings", async () => {
    const all = await families(statusReport({}));
    expect([...all.keys()]).toEqual(expect.arrayContaining(["nix_tether_build_info", "process_open_fds"]));
    expect([...all.keys()].filter((name) => /cache|upload|warning/.test(name))).toEqual([]);
  });
});
