// When systemd will run a farm next.

import { runTool } from "../util/run-tool.js";

const deadlineMs = 3_000;

/** As systemd writes it; null where there is no such timer, or no systemd. */
export async function nextRun(name: string, env: NodeJS.ProcessEnv): Promise<string | null> {
  const unit = `nix-tether-farm@${name}.timer`;
  const args = ["--user", "show", "--property=NextElapseUSecRealtime", "--value", unit];
  const result = await runTool("systemctl", args, { env, ms: deadlineMs }).catch(() => null);
  return result === null || result.code !== 0 ? null : result.stdout.trim() || null;
}
