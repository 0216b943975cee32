// `GET /metrics`: the status report and the process in Prometheus's text format, version 0.0.4. Nothing is counted here: the
// parts of the daemon count, whether anybody asks or not.

import { Counter, Gauge, Registry } from "prom-client";
import type { StatusReport } from "../control/messages.js";
import { reportFamilies, type Family } from "./families.js";
import { processFamilies } from "./process-families.js";

export async function metricsText(report: StatusReport, version: string): Promise<string> {
  const registry = new Registry();
  const families = [...reportFamilies(report, version), ...(await processFamilies())];
  // One without samples would be shown as a 0 without labels.
  for (const family of families) if (family.samples.length > 0) register(registry, family);
  return registry.metrics();
}

function register(registry: Registry, { name, help, type, samples }: Family): void {
  const labelNames = Object.keys(samples[0]?.labels ?? {});
  const options = { name, help, labelNames, registers: [registry] };
  if (type === "gauge") {
    const gauge = new Gauge(options);
    for (const { labels, value } of samples) gauge.set(labels, value);
    return;
  }
  const counter = new Counter(options);
  for (const { labels, value } of samples) counter.inc(labels, value);
}
