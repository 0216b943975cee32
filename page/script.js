// The status page: asks the daemon for its report while it is looked at, and shows it.

import { fill, keep, write } from "./tables.js";

/** @import { CacheStatus, StatusReport, TransferStatus, UploadTargetStatus } from "../src/control/messages.js" */

/**
 * @template Item
 * @typedef {import("./tables.js").Column<Item>} Column
 */

const everyMs = 2_000;
const whileMovingMs = 1_000;
/** Where the daemon does not answer: systemd would start one for each question. */
const inTroubleMs = 10_000;

/** @type {(id: string) => HTMLElement} */
const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** Of the caches, in bytes a second, by the two latest reports. @type {Map<string, number>} */
const rates = new Map();
/** @type {{ at: number, sent: Map<string, number> } | null} */
let before = null;

/** @type {Column<[string, CacheStatus]>[]} */
const cacheColumns = [
  { label: "Cache", cell: ([name, { host }]) => ({ text: name, note: host === name ? "" : host }) },
  {
    label: "State",
    cell: ([, { state, since, reason }]) => ({ text: `${state}, ${ago(since)}`, note: reason ?? "", state }),
  },
  {
    label: "Address",
    cell: ([, status]) => ({
      text: status.address ?? "–",
      note: [status.transport, ...wayWords(status)].filter((word) => word !== null).join(", "),
    }),
  },
  { label: "In Nix", cell: ([, { listed }]) => (listed ? "yes" : "no") },
  {
    label: "Hit rate",
    number: true,
    cell: ([, { lookups, hits }]) => ({ text: percent(hits, lookups), note: `${hits} of ${lookups}` }),
  },
  {
    label: "Given",
    number: true,
    cell: ([name, { narBytes }]) => ({ text: bytes(narBytes), note: rate(rates.get(name) ?? 0) }),
  },
];

/** @type {Column<TransferStatus & { cache: string }>[]} */
const transferColumns = [
  { label: "Path", cell: ({ path }) => ({ text: nameOf(path), note: hashOf(path) }) },
  {
    label: "From",
    cell: ({ cache, waiting }) => ({ text: cache, note: waiting ? "cut; waits to go on" : "" }),
  },
  {
    label: "Come so far",
    number: true,
    cell: ({ sent, size }) => ({ text: `${bytes(sent)} of ${bytes(size)}`, progress: sent / size }),
  },
  { label: "Begun", number: true, cell: ({ since }) => `${ago(since)} ago` },
];

/** @type {Column<[string, UploadTargetStatus]>[]} */
const targetColumns = [
  { label: "To", cell: ([name]) => name },
  { label: "State", cell: ([, { state, reason }]) => ({ text: state, note: reason ?? "" }) },
  {
    label: "Waiting",
    number: true,
    cell: ([, { waiting, left }]) => ({ text: String(waiting), note: left === 0 ? "" : bytes(left) }),
  },
  { label: "Set aside", number: true, cell: ([, { setAside }]) => String(setAside) },
  {
    label: "Arrived",
    number: true,
    cell: ([, one]) => ({ text: String(one.uploaded), note: bytes(one.bytes) }),
  },
  {
    label: "Now",
    cell: ([, { now, going, rate: perSecond }]) => ({
      text: now === null ? "–" : nameOf(now),
      note: rate(perSecond ?? 0),
      progress: going === null ? null : going.sent / Math.max(1, going.size),
    }),
  },
];

/** @param {StatusReport} report */
function show(report) {
  const { caches, uploads, warnings, pid, since } = report;
  measure(caches);
  const transfers = Object.entries(caches).flatMap(([cache, status]) =>
    status.transfers.map((transfer) => ({ ...transfer, cache })),
  );
  const names = Object.keys(caches);
  const online = names.filter((name) => caches[name]?.state === "online").length;
  write(
    element("summary"),
    names.length === 0 ? "No caches are configured." : `${online} of ${names.length} online`,
  );
  document.title = `${online}/${names.length} nix-tether`;

  fill("caches", Object.entries(caches), cacheColumns, ([name]) => name);
  fill(
    "transfers",
    transfers,
    transferColumns,
    ({ cache, path, since: begun }) => `${cache} ${path} ${begun}`,
  );
  element("transfers").hidden = transfers.length === 0;
  element("no-transfers").hidden = transfers.length > 0;
  const targets = Object.entries(uploads.targets);
  fill("targets", targets, targetColumns, ([name]) => name);
  element("uploads").hidden = targets.length === 0;

  const list = /** @type {HTMLElement} */ (element("warnings").querySelector("ul"));
  keep(
    list,
    warnings,
    ({ code, cache }) => `${cache ?? ""} ${code}`,
    () => document.createElement("li"),
    (item, warning) =>
      write(item, warning.cache === null ? warning.text : `${warning.cache}: ${warning.text}`),
  );
  element("warnings").hidden = warnings.length === 0;
  write(element("daemon"), `Process ${pid}, running for ${ago(since)}`);
  return transfers.length > 0;
}

/** @param {StatusReport["caches"]} caches */
function measure(caches) {
  const at = performance.now();
  const sent = new Map(Object.entries(caches).map(([name, { narBytes }]) => [name, narBytes]));
  rates.clear();
  if (before !== null)
    for (const [name, count] of sent) {
      const more = count - (before.sent.get(name) ?? count);
      if (more > 0) rates.set(name, more / ((at - before.at) / 1000));
    }
  before = { at, sent };
}

/** By which way it is reached, where that makes a difference. @param {CacheStatus} status */
function wayWords({ type, host, way }) {
  if (way === null) return [];
  return [
    ...(way.host === host ? [] : [`reached as ${way.host}`]),
    // A web server takes none by any way.
    ...(way.uploads || type === "http" ? [] : ["without uploads"]),
  ];
}

/** What a person calls it: the path without its folder and its hash. @param {string} path */
function nameOf(path) {
  return path.slice(path.indexOf("-") + 1);
}

/** @param {string} path */
function hashOf(path) {
  return path.slice("/nix/store/".length, path.indexOf("-"));
}

/** @param {number} count */
function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const at = count < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(count) / 10));
  return `${(count / 1024 ** at).toFixed(at === 0 ? 0 : 1)} ${units[at]}`;
}

/** @param {number} perSecond */
function rate(perSecond) {
  return perSecond === 0 ? "" : `${bytes(perSecond)}/s`;
}

/**
 * @param {number} part
 * @param {number} whole
 */
function percent(part, whole) {
  return whole === 0 ? "–" : `${Math.round((part / whole) * 100)} %`;
}

/** @param {string} since */
function ago(since) {
  const seconds = Math.max(0, Math.floor((Date.now() - Date.parse(since)) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3_600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

/** Asks once; resolves to the time until the next question, in milliseconds. */
async function ask() {
  const trouble = element("trouble");
  try {
    const response = await fetch("/status.json", { cache: "no-store", signal: AbortSignal.timeout(5_000) });
    if (!response.ok) throw new Error(`it says ${response.status}`);
    const moving = show(await response.json());
    trouble.hidden = true;
    return moving ? whileMovingMs : everyMs;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    write(trouble, `The daemon does not answer (${why}). What is shown here may be out of date.`);
    trouble.hidden = false;
    return inTroubleMs;
  }
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
let asking = false;

/** Nobody looks at a hidden page, and a laptop should rest. */
async function goOn() {
  clearTimeout(timer);
  if (document.hidden || asking) return;
  asking = true;
  const wait = await ask();
  asking = false;
  if (!document.hidden) timer = setTimeout(() => void goOn(), wait);
}

document.addEventListener("visibilitychange", () => void goOn());
void goOn();
