// Builds one attribute, and says what came of it.

import { TetherError, messageOf } from "../util/errors.js";
import { nixWords, type Nix } from "./nix.js";
import { createBuildEvents } from "./nix-events.js";
import type { BuildReport } from "./report.js";
import type { Roots } from "./roots.js";

export interface BuildRequest {
  /** The folder with flake.nix. */
  readonly flake: string;
  readonly attribute: string;
  /** Milliseconds. */
  readonly timeoutMs: number;
}

export interface BuildDeps {
  readonly nix: Nix;
  readonly roots: Roots;
  /** The run's. */
  readonly signal: AbortSignal;
  /** Milliseconds, of any clock that goes forward only. */
  readonly clock: () => number;
  /** Told what goes on whenever something does. */
  readonly onDoing: (text: string) => void;
}

/** Rejects only with `nix-missing` or the signal's reason: a build that fails is a result. */
export async function buildAttribute(
  { flake, attribute, timeoutMs }: BuildRequest,
  { nix, roots, signal, clock, onDoing }: BuildDeps,
): Promise<BuildReport> {
  const begun = clock();
  const events = createBuildEvents();
  const report = (more: Pick<BuildReport, "ok" | "paths" | "lastGood" | "failures">): BuildReport => ({
    attribute,
    ms: Math.round(clock() - begun),
    ...events.counts(),
    ...more,
  });
  const failed = async (failures: BuildReport["failures"]): Promise<BuildReport> =>
    report({ ok: false, paths: [], lastGood: await roots.lastGood(attribute), failures });
  try {
    const link = await roots.begin(attribute);
    const args = ["build", `.#${attribute}`, "--out-link", link, "--json", "--keep-going"];
    const { code, stdout, stderr } = await nix.run([...args, "--log-format", "internal-json"], {
      cwd: flake,
      ms: timeoutMs,
      onLine: (line) => {
        events.line(line);
        const doing = events.doing();
        if (doing !== null) onDoing(doing);
      },
    });
    if (code !== 0) {
      const failures = events.failures();
      return await failed(failures.length === 0 ? [failureOf(nixWords(stderr))] : failures);
    }
    const paths = outputPaths(stdout);
    await roots.good(attribute);
    return report({ ok: true, paths, lastGood: null, failures: [] });
  } catch (error) {
    signal.throwIfAborted();
    const code = error instanceof TetherError ? error.code : null;
    if (code === "nix-missing") throw error;
    const late = code === "timeout" ? "it was not done in time: " : "";
    return failed([failureOf(`${late}${messageOf(error)}`)]);
  }
}

/** One for which there was no time left. */
export async function notBegun(attribute: string, roots: Roots): Promise<BuildReport> {
  const failures = [failureOf("it was not begun: the time of the whole run was over")];
  const lastGood = await roots.lastGood(attribute);
  return { attribute, ok: false, ms: 0, paths: [], lastGood, built: 0, fetched: 0, failures };
}

function failureOf(text: string): BuildReport["failures"][number] {
  return { derivation: null, text, log: [] };
}

/** Of what `nix build --json` prints. An attribute may be a plain store path's, with no derivation. */
function outputPaths(stdout: string): string[] {
  const built = JSON.parse(stdout) as ({ outputs?: Record<string, string | null>; path?: string } | string)[];
  const paths = built.flatMap((one) =>
    typeof one === "string" ? [one] : [...Object.values(one.outputs ?? {}), one.path],
  );
  return [...new Set(paths.filter((one) => typeof one === "string"))];
}
