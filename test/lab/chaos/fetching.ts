// Runs one job on the laptop as its untrusted user and judges what Nix did.

import { performance } from "node:perf_hooks";
import { Lab } from "../lab.js";
import { copiedFrom } from "../store.js";
import { expressions, listClosure, secondUrl, type Stocked } from "./stock.js";

/** Longer than any bound: a command that is still there then hangs. Milliseconds. */
const hangMs = 240_000;

export interface Result {
  readonly ms: number;
  /** How many paths came from where. */
  readonly fromPi: number;
  readonly fromSecond: number;
  readonly built: number;
  /** What is wrong with exit code, path or hashes; null: nothing. */
  readonly problem: string | null;
  /** Nix's own words. */
  readonly log: string;
}

/** For a shell in the laptop: asks Nix for the job's path, and prints it. */
export function commandOf({ kind, salt, path, newCommand }: Stocked, options = ""): string {
  if (kind.fetchOnly === true) return `nix-store -r ${path} ${options}`;
  const what = `${kind.attribute} --argstr salt ${salt} ${options}`;
  if (newCommand) return `nix build --no-link -f ${expressions} ${what} && echo ${path}`;
  return `nix-build --no-out-link ${expressions} -A ${what}`;
}

/** `options` are added to the command. */
export async function fetch(lab: Lab, job: Stocked, options = ""): Promise<Result> {
  const begun = performance.now();
  const { code, stdout, stderr } = await lab.user("laptop", "dev", commandOf(job, options), {
    mayFail: true,
    timeoutMs: hangMs,
  });
  const ms = performance.now() - begun;
  return {
    ms,
    fromPi: copiedFrom(stderr, "pi").size,
    fromSecond: count(stderr, new RegExp(`^copying path '[^']+' from '${secondUrl}`, "gm")),
    built: count(stderr, /^building '/gm),
    problem: ms >= hangMs ? "hangs" : await judge(lab, job, code, stdout),
    log: stderr,
  };
}

async function judge(lab: Lab, job: Stocked, code: number, stdout: string): Promise<string | null> {
  if (code !== 0) return `exit code ${code}`;
  if (stdout.trim() !== job.path) return `answered ${stdout.trim()} instead of ${job.path}`;
  const { path } = job;
  const check = await lab.user("laptop", "dev", `${listClosure(path)}; nix-store --verify-path $paths`, {
    mayFail: true,
  });
  if (check.code !== 0) return `damaged: ${check.stderr}`;
  return check.stdout.trimEnd() === job.closure ? null : `other hashes than expected:\n${check.stdout}`;
}

/** Takes a job's paths out of the laptop's store. */
export async function forget(lab: Lab, job: Stocked): Promise<void> {
  const paths = job.closure.split("\n").map((line) => line.split(" ", 1)[0] ?? "");
  await lab.waitFor(`deleting ${job.path}`, async () => {
    // The daemon that served the job may hold its temporary roots for a moment longer.
    const { code } = await lab.exec("laptop", `nix-store --delete ${paths.join(" ")} >/dev/null 2>&1`, {
      mayFail: true,
    });
    return code === 0;
  });
}

function count(text: string, pattern: RegExp): number {
  return [...text.matchAll(pattern)].length;
}
