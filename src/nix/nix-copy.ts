// One `nix copy`, from its start to its end: told what it copies, ended with all that it started.

import { isStorePath } from "../protocol/store-path.js";
import { runGroup } from "../util/run-group.js";
import { nixCommand, nixMissing, noSubstitutes } from "./nix-tools.js";

export interface CopyOptions {
  /** Store URLs; by default from the local store. */
  readonly from?: string;
  readonly to: string;
  readonly paths: readonly string[];
  /** That these are derivations, to be copied themselves and not what they build. */
  readonly derivations?: boolean;
  /** By default what they refer to goes with them, as far as it is missing there. */
  readonly recursive?: boolean;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  /** Told of each path when it begins to be copied. */
  readonly onPath?: (path: string) => void;
}

/** How it ended; `stderr` is the end of what it said. */
export interface CopyResult {
  readonly ok: boolean;
  readonly stderr: string;
}

/** How long it has to leave in order, in milliseconds. */
const leaveMs = 3_000;

/**
 * Never takes paths from a substituter or builds them. Rejects with code `nix-missing`, or with the signal's reason,
 * after its end.
 */
export async function nixCopy(options: CopyOptions): Promise<CopyResult> {
  const { from, to, paths, derivations = false, recursive = true, env, signal, onPath } = options;
  const args = [
    ...nixCommand,
    ...noSubstitutes,
    "copy",
    ...(from === undefined ? [] : ["--from", from]),
    "--to",
    to,
    // A nix-daemon does as it is told here only by whom it trusts, who need no signatures; others it asks for them.
    "--no-check-sigs",
    ...(recursive ? [] : ["--no-recursive"]),
    ...(derivations ? ["--derivation"] : []),
    ...paths,
  ];
  const result = await runGroup("nix", args, {
    env: { ...env, LC_ALL: "C" },
    signal,
    leaveMs,
    onLine: (line) => {
      const path = /copying path '([^']+)'/.exec(line)?.[1];
      if (path !== undefined && isStorePath(path)) onPath?.(path);
    },
  });
  if (result === null) throw nixMissing("nix");
  return { ok: result.code === 0, stderr: result.stderr };
}
