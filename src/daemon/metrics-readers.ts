// Which other users may read the metrics, by their numbers: Prometheus seldom runs as the user whose daemon this is.

import { messageOf } from "../util/errors.js";
import { runTool } from "../util/run-tool.js";
import type { Warnings } from "./warnings.js";

/** How long asking for a user's number may take, in milliseconds: it may be kept on another machine. */
const deadlineMs = 3_000;

/** The uids of `users`, which fill in within a moment; a user that there is not becomes a warning. */
export function metricsReaders(deps: {
  readonly users: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly warnings: Pick<Warnings, "raise">;
}): ReadonlySet<number> {
  const uids = new Set<number>();
  const lookUp = async (user: string): Promise<string[]> => {
    try {
      const said = await runTool("id", ["-u", "--", user], { env: deps.env, ms: deadlineMs });
      if (said === null) throw new Error("there is no program id");
      if (said.code !== 0) throw new Error(said.stderr.trim());
      uids.add(Number(said.stdout));
      return [];
    } catch (error) {
      return [messageOf(error)];
    }
  };
  void Promise.all(deps.users.map(lookUp)).then((results) => {
    const unknown = results.flat();
    if (unknown.length === 0) return;
    const text = `not all of gateway.metrics-users may read /metrics: ${unknown.join("; ")}. Restart the daemon once they exist`;
    deps.warnings.raise("metrics-user-unknown", null, text);
  });
  return uids;
}
