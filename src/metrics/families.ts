// The metrics that a status report makes: names after Prometheus's conventions (base units, `_total` for what only grows).
// Labels are the caches' names, their states and the codes of warnings: nothing that a build or a stranger can multiply.

import type { CacheStateName, CacheStatus, StatusReport, UploadTargetStatus } from "../control/messages.js";

export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

/** One metric with all its samples. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
  readonly samples: readonly Sample[];
}

type Described<Of> = readonly [
  name: string,
  type: Family["type"],
  help: string,
  value: (of: Of) => number | boolean,
];

const cacheFamilies: readonly Described<CacheStatus>[] = [
  ["cache_listed", "gauge", "Whether Nix is told of the cache.", ({ listed }) => listed],
  [
    "cache_generation",
    "gauge",
    "Which of its sixteen URLs the cache is listed under.",
    (one) => one.generation,
  ],
  [
    "link_losses_total",
    "counter",
    "Times the cache was online and then was not, but for pauses.",
    (one) => one.losses,
  ],
  ["lookups_total", "counter", "Requests of Nix for a path that were looked up.", (one) => one.lookups],
  ["lookup_hits_total", "counter", "Requests of Nix for a path that the cache has.", (one) => one.hits],
  ["nar_sent_bytes_total", "counter", "Bytes of NARs passed on to Nix.", (one) => one.narBytes],
  [
    "nars_resumed_total",
    "counter",
    "NARs that went on from where an earlier transfer was cut.",
    (one) => one.resumed,
  ],
  ["nars_abandoned_total", "counter", "NARs that broke and were given up.", (one) => one.abandoned],
  ["nars_in_progress", "gauge", "NARs on their way to Nix.", ({ transfers }) => transfers.length],
  [
    "unsigned_paths",
    "gauge",
    "Distinct paths told without a signature, which Nix ignores.",
    (one) => one.unsigned,
  ],
];

const uploadFamilies: readonly Described<UploadTargetStatus>[] = [
  ["uploads_waiting", "gauge", "Paths that wait for their upload to the cache.", (one) => one.waiting],
  ["uploads_left_bytes", "gauge", "Bytes of NARs that wait for their upload.", (one) => one.left],
  ["uploads_set_aside", "gauge", "Paths whose upload waits for a person.", (one) => one.setAside],
  ["uploaded_paths_total", "counter", "Paths that have arrived at the cache.", (one) => one.uploaded],
  ["uploaded_bytes_total", "counter", "Bytes of NARs that were uploaded to the cache.", (one) => one.bytes],
];

const states: readonly CacheStateName[] = ["offline", "connecting", "online", "waiting", "paused"];

/** Everything that the report tells in numbers. Pure. */
export function reportFamilies(report: StatusReport, version: string): Family[] {
  const { caches, uploads, warnings } = report;
  return [
    family("build_info", "gauge", "The version that runs.", [{ labels: { version }, value: 1 }]),
    family(
      "cache_state",
      "gauge",
      "1 for the state that the cache is in, 0 for the others.",
      Object.entries(caches).flatMap(([cache, status]) =>
        states.map((state) => ({ labels: { cache, state }, value: Number(status.state === state) })),
      ),
    ),
    ...byCache(cacheFamilies, caches),
    ...byCache(uploadFamilies, uploads.targets),
    family(
      "warnings",
      "gauge",
      "1 for each warning that stands; without a cache it concerns all of them.",
      warnings.map(({ code, cache }) => ({ labels: { code, cache: cache ?? "" }, value: 1 })),
    ),
  ];
}

function byCache<Of>(described: readonly Described<Of>[], of: Readonly<Record<string, Of>>): Family[] {
  return described.map(([name, type, help, value]) =>
    family(
      name,
      type,
      help,
      Object.entries(of).map(([cache, one]) => ({ labels: { cache }, value: Number(value(one)) })),
    ),
  );
}

function family(name: string, type: Family["type"], help: string, samples: readonly Sample[]): Family {
  return { name: `nix_tether_${name}`, type, help, samples };
}
