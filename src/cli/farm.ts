// `nix-tether farm`: runs a farm, and tells of all of them what came of their last runs.

import path from "node:path";
import { configPaths, stateFolder } from "../config/dirs.js";
import { loadConfig } from "../config/load.js";
import type { Config } from "../config/schema.js";
import { farmPlaces, type FarmPlaces } from "../farm/places.js";
import { readReport, type FarmReport } from "../farm/report.js";
import { currentRun } from "../farm/run-lock.js";
import { runFarm } from "../farm/run.js";
import { TetherError } from "../util/errors.js";
import { nearest } from "../util/suggest.js";
import { Interruption, type CliContext } from "./context.js";
import { exitCode } from "./exit.js";
import { farmProgress } from "./farm-progress.js";
import { farmTargets } from "./farm-targets.js";
import { farmReportText, farmTable, type FarmState } from "./farm-text.js";
import { nextRun } from "./farm-timer.js";

export interface FarmArguments {
  readonly action: "run" | "list" | "status";
  readonly farm?: string | undefined;
  readonly json?: boolean | undefined;
  readonly config?: string | undefined;
}

/** Resolves to the exit code: with `run` and `status` that of the run. */
export async function farm(context: CliContext, args: FarmArguments): Promise<number> {
  const file = args.config === undefined ? configPaths(context.env).configFile : path.resolve(args.config);
  const config = await loadConfig(file);
  if (args.farm !== undefined) requireFarm(args.farm, config);
  const names = args.farm === undefined ? Object.keys(config.farms) : [args.farm];
  if (args.action !== "run") return tell(context, args, names);
  if (args.farm === undefined) {
    throw new TetherError("usage", "say which farm is to be run", { remedy: knownFarms(config) });
  }
  return run(context, args, args.farm, config);
}

async function run(context: CliContext, args: FarmArguments, name: string, config: Config): Promise<number> {
  const { env, stdout } = context;
  const farmConfig = requireFarm(name, config);
  const targets = farmTargets(farmConfig, config, context);
  const signal = context.interrupted();
  const progress = farmProgress(context, name);
  try {
    const report = await runFarm(
      { name, config: farmConfig, places: placesOf(context, name), targets, env, signal },
      { now: context.now, clock: () => performance.now(), onStep: progress.step, onDoing: progress.doing },
    );
    progress.end();
    stdout.write(args.json === true ? `${JSON.stringify(report, null, 2)}\n` : farmReportText(report));
    return signal.reason instanceof Interruption ? signal.reason.exitCode : codeOf(report);
  } finally {
    progress.end();
  }
}

async function tell(context: CliContext, args: FarmArguments, names: readonly string[]): Promise<number> {
  const { stdout, env } = context;
  const states: FarmState[] = [];
  for (const name of names) {
    const places = placesOf(context, name);
    const [running, last, next] = await Promise.all([
      currentRun(places.lockFile),
      readReport(places.lastReport),
      nextRun(name, env),
    ]);
    states.push({ name, running, last, next });
  }
  if (args.json === true) stdout.write(`${JSON.stringify({ version: 1, farms: states }, null, 2)}\n`);
  else if (args.action === "list" || states.length === 0) stdout.write(farmTable(states, context.now()));
  else {
    const texts = states.map(({ last }) => (last === null ? "" : `\n${farmReportText(last)}`));
    stdout.write([farmTable(states, context.now()), ...texts].join(""));
  }
  if (args.action === "list") return exitCode.ok;
  return (
    states.map(({ last }) => (last === null ? exitCode.ok : codeOf(last))).find((code) => code !== 0) ?? 0
  );
}

function codeOf({ result }: FarmReport): number {
  switch (result) {
    case "ok":
      return exitCode.ok;
    case "builds-failed":
      return exitCode.buildsFailed;
    case "push-failed":
      return exitCode.pushFailed;
    case "failed":
    case "cancelled":
      return exitCode.failure;
  }
}

function placesOf({ env }: CliContext, name: string): FarmPlaces {
  return farmPlaces(stateFolder(env), name);
}

function requireFarm(name: string, config: Config): Config["farms"][string] {
  const found = Object.hasOwn(config.farms, name) ? config.farms[name] : undefined;
  if (found !== undefined) return found;
  const meant = nearest(name, Object.keys(config.farms));
  throw new TetherError(
    "unknown-farm",
    `there is no farm named ${name}${meant === undefined ? "" : `, did you mean ${meant}?`}`,
    { remedy: knownFarms(config) },
  );
}

function knownFarms(config: Config): string {
  const names = Object.keys(config.farms);
  return names.length === 0
    ? "The configuration has none; [farms.NAME] would be one."
    : `The farms are: ${names.join(", ")}`;
}
