// What the daemon's process itself costs, under the names that Prometheus's client libraries share. prom-client's own set is
// not used: it watches the event loop with a timer that wakes the processor a hundred times a second.

import { readdir } from "node:fs/promises";
import { performance } from "node:perf_hooks";
import type { Family } from "./families.js";

/** As they are now; takes one turn of the event loop. */
export async function processFamilies(): Promise<Family[]> {
  const asked = performance.now();
  await new Promise((resolve) => setImmediate(resolve));
  const lag = (performance.now() - asked) / 1000;
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  // Where /proc can not be read the number is left out.
  const fds = await readdir("/proc/self/fd").catch(() => null);
  return [
    one("process_cpu_seconds_total", "counter", "Processor time spent.", (user + system) / 1e6),
    one("process_resident_memory_bytes", "gauge", "Resident memory size.", rss),
    one(
      "process_start_time_seconds",
      "gauge",
      "Start since the epoch.",
      Date.now() / 1000 - process.uptime(),
    ),
    ...(fds === null ? [] : [one("process_open_fds", "gauge", "Open file descriptors.", fds.length)]),
    one("nodejs_heap_size_used_bytes", "gauge", "Heap that is in use.", heapUsed),
    one("nodejs_eventloop_lag_seconds", "gauge", "Delay of the event loop, at this moment.", lag),
  ];
}

function one(name: string, type: Family["type"], help: string, value: number): Family {
  return { name, type, help, samples: [{ labels: {}, value }] };
}
