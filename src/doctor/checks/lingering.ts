// Does the user's systemd, and with it the daemon, run while they are not logged in?

import os from "node:os";
import { runTool } from "../../util/run-tool.js";
import type { Look } from "../check.js";
import { ok, skipped, warning } from "../finding.js";

const loginctlMs = 3_000;

export function lingeringCheck(env: NodeJS.ProcessEnv): Look {
  return async (signal) => {
    const { username } = os.userInfo();
    const args = ["show-user", username, "--property=Linger", "--value"];
    const result = await runTool("loginctl", args, { env, ms: loginctlMs, signal }).catch(() => null);
    signal.throwIfAborted();
    const said = result?.stdout.trim() ?? "";
    if (result === null || (result.code !== 0 && !/not logged in or lingering/.test(result.stderr))) {
      return skipped("systemd's loginctl can not be asked");
    }
    if (said === "yes") return ok("on: the daemon runs whether you are logged in or not");
    return warning(
      "off: the daemon runs only while you are logged in, which is enough for most",
      `Should builds use the cache at other times, too: \`loginctl enable-linger ${username}\``,
    );
  };
}
