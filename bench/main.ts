// Measures nix-tether beside what people have instead, on this machine alone: see CONTRIBUTING.md. The letters are those of
// the measurements in measure/.

import { readFile, writeFile } from "node:fs/promises";
import { statfsSync } from "node:fs";
import type { Measurement } from "./bench.js";
import { judge } from "./goals.js";
import { load, readMachine } from "./machine.js";
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
import { reportText, type Report } from "./report.js";
import { Scope } from "./scope.js";
import { Recorder } from "./series.js";
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
    process.stdout.write(
      reportText(JSON.parse(await readFile(options.markdown, "utf8")) as Report, "markdown"),
    );
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
    process.stdout.write(reportText(report, "plain"));
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

function freeBytes(folder: string): number {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return 0;
  }
}
