// Measures nix-tether beside what people have instead, on this machine alone: see CONTRIBUTING.md. The letters are those of
// the measurements in measure/.

import { readFile, writeFile } from "node:fs/promises";
import { statfsSync } from "node:fs";
import type { Measurement } from "./bench.js";
import { judge, type Verdict } from "./goals.js";
import { load, readMachine, type Machine } from "./machine.js";
import { fetching } from "./measure/fetching.js";
import { inTheLab } from "./measure/in-the-lab.js";
import { hook } from "./measure/hook.js";
import { lowPower } from "./measure/low-power.js";
import { nothingToDo } from "./measure/nothing-to-do.js";
import { pushing } from "./measure/pushing.js";
import { rawBytes } from "./measure/raw-bytes.js";
import { scale } from "./measure/scale.js";
import { status } from "./measure/status.js";
import { uploading } from "./measure/uploading.js";
import { parseOptions, usage, type Options } from "./options.js";
import { Scope } from "./scope.js";
import { Recorder, type Series } from "./series.js";
import { seriesTable, verdictTable, type Style } from "./table.js";
import { measureDelay } from "./world/delay-proxy.js";

const measurements: readonly Measurement[] = [
  fetching,
  nothingToDo,
  uploading,
  pushing,
  rawBytes,
  hook,
  status,
  scale,
  lowPower,
  inTheLab,
];
const letters = measurements.flatMap((one) => [...one.letters]).toSorted();

/** What --out writes. */
interface Report {
  readonly at: string;
  readonly machine: Machine;
  /** Load averages of a minute before and after. */
  readonly load: readonly [number, number];
  /** What the delaying proxy really adds: for each round trip asked for, the one measured, in milliseconds. */
  readonly delays: Readonly<Record<string, number>>;
  readonly series: readonly Series[];
  readonly verdicts: readonly Verdict[];
  /** Letters of what could not be measured, or not all of it. */
  readonly failed: readonly string[];
}

const root = new Scope();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => void root.dispose().then(() => process.exit(130)));
}
process.exit(await main(process.argv.slice(2)));

async function main(argv: readonly string[]): Promise<number> {
  let options: Options;
  try {
    options = parseOptions(argv, letters);
  } catch (error) {
    process.stderr.write(`bench: ${(error as Error).message}\n\n${usage}`);
    return 2;
  }
  if (options.markdown !== null) {
    print(JSON.parse(await readFile(options.markdown, "utf8")) as Report, "markdown");
    return 0;
  }
  if (process.getuid?.() !== 0) {
    process.stderr.write(
      "bench: needs root, for nix-daemons and namespaces of its own: sudo npm run bench\n",
    );
    return 2;
  }
  // What is measured is no disk.
  if (freeBytes("/dev/shm") > 6e9) process.env["TMPDIR"] = "/dev/shm";
  try {
    const report = await measure(options);
    print(report, "plain");
    if (options.out !== null) await writeFile(options.out, `${JSON.stringify(report, null, 1)}\n`);
    return report.failed.length === 0 ? 0 : 1;
  } catch (error) {
    process.stderr.write(`bench: ${(error as Error).stack}\n`);
    return 1;
  } finally {
    await root.dispose();
  }
}

async function measure(options: Options): Promise<Report> {
  const began = performance.now();
  const say = (text: string): void => {
    const minutes = (performance.now() - began) / 60_000;
    process.stderr.write(`${minutes.toFixed(1).padStart(5)} min  ${text}\n`);
  };
  const recorder = new Recorder();
  const machine = await readMachine(options.nix);
  const before = load();
  const delays: Record<string, number> = {};
  for (const delay of options.delays) delays[delay] = Number((await measureDelay(delay)).toFixed(2));
  const failed: string[] = [];
  for (const measurement of measurements) {
    const chosen = [...measurement.letters].filter((letter) => options.only.includes(letter));
    if (chosen.length === 0) continue;
    // What one can not measure takes nothing away from the others.
    await root
      .within((scope) => measurement.run({ options, scope, recorder, say }, chosen))
      .catch((error: unknown) => {
        if (root.ended) throw error;
        failed.push(...chosen);
        say(`${chosen.join(", ")}: ${error instanceof Error ? error.stack : String(error)}`);
        say(error instanceof Error && error.cause instanceof Error ? error.cause.message : "");
      });
  }
  const { series } = recorder;
  const at = new Date().toISOString();
  return { at, machine, load: [before, load()], delays, series, verdicts: judge(series), failed };
}

function print(report: Report, style: Style): void {
  const { machine, delays } = report;
  const facts = [
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGB} GB, ${machine.kernel}`,
    `Node ${machine.node}, OpenSSH ${machine.openssh}, nginx ${machine.nginx}, Nix ${machine.nix.join(" and ")}`,
    `ssh2's native ciphers: ${machine.nativeCiphers ? "yes" : "no"}; load ${report.load.join(" before, ")} after`,
    `round trips as measured: ${Object.entries(delays)
      .map(([asked, got]) => `${asked} ms: ${got}`)
      .join(", ")}`,
  ];
  if (report.failed.length > 0) facts.push(`not all was measured of: ${report.failed.join(", ")}`);
  process.stdout.write(`${facts.join("\n")}\n\n`);
  process.stdout.write(`${seriesTable(report.series, style)}\n${verdictTable(report.verdicts, style)}`);
}

function freeBytes(folder: string): number {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return 0;
  }
}
