// `nix-tether doctor`: looks at everything that must be right, and says what to do about what is not.

import path from "node:path";
import { configPaths, resolveDirs } from "../config/dirs.js";
import { loadConfig } from "../config/load.js";
import { runDoctor } from "../doctor/doctor.js";
import { quietLog } from "../doctor/quiet-log.js";
import { appearance, isUnicode, type CliContext } from "./context.js";
import { resultText, summaryText } from "./doctor-text.js";
import { exitCode } from "./exit.js";

export interface DoctorArguments {
  readonly cache?: string | undefined;
  readonly json?: boolean | undefined;
  readonly config?: string | undefined;
}

/** Resolves to the exit code: a failure where something must be mended, or where it was interrupted. */
export async function doctor(context: CliContext, args: DoctorArguments): Promise<number> {
  const { env, stdout } = context;
  const paths = configPaths(env);
  const configFile = args.config === undefined ? paths.configFile : path.resolve(args.config);
  const config = loadConfig(configFile);
  const several = config.then(
    ({ caches }) => args.cache === undefined && Object.keys(caches).length > 1,
    () => false,
  );
  const signal = context.interrupted();
  const style = { ...appearance(context), unicode: isUnicode(env), several: await several };
  const json = args.json === true;
  const results = await runDoctor({
    cache: args.cache ?? null,
    paths,
    controlSocket: () => resolveDirs(env).controlSocket,
    configFile,
    load: () => config,
    env,
    log: quietLog(env),
    signal,
    onResult: (result) => {
      if (!json) stdout.write(resultText(result, style));
    },
  });
  if (signal.aborted) return exitCode.failure;
  const ok = results.every(({ mark }) => mark !== "failure");
  stdout.write(
    json ? `${JSON.stringify({ version: 1, ok, checks: results }, null, 2)}\n` : summaryText(results),
  );
  return ok ? exitCode.ok : exitCode.failure;
}
