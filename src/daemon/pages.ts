// What the gateway shows beside the caches: the status page with its files, the report that it draws, and the metrics.

import { readFile } from "node:fs/promises";
import type { StatusReport } from "../control/messages.js";
import type { Page } from "../gateway/gateway.js";
import { TetherError } from "../util/errors.js";
import { packageFile, packageVersion } from "../util/package-files.js";

/** By their paths. `report` gives null until there is something to report. */
export function createPages(deps: {
  readonly report: () => StatusReport | null;
  /** Uids that may read the metrics besides the own one. */
  readonly readers: ReadonlySet<number>;
}): ReadonlyMap<string, Page> {
  const report = (): StatusReport => {
    const made = deps.report();
    if (made === null) throw new TetherError("starting", "the daemon is still starting");
    return made;
  };
  const file = (name: string, type: string): Page => ({
    type: `${type}; charset=utf-8`,
    body: () => readFile(packageFile(`page/${name}`), "utf8"),
  });
  return new Map([
    ["/", file("index.html", "text/html")],
    ["/style.css", file("style.css", "text/css")],
    ["/script.js", file("script.js", "text/javascript")],
    ["/tables.js", file("tables.js", "text/javascript")],
    ["/status.json", { type: "application/json", body: () => JSON.stringify(report()) }],
    [
      "/metrics",
      {
        type: "text/plain; version=0.0.4; charset=utf-8",
        readers: deps.readers,
        body: async () => {
          // Whoever never asks for them need not have their library in memory.
          const { metricsText } = await import("../metrics/metrics.js");
          return metricsText(report(), packageVersion());
        },
      },
    ],
  ]);
}
