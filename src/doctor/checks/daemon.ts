// Does the daemon run, does it say the same as what was found here, and does its gateway answer?

import http from "node:http";
import type { CacheStatus, StatusReport } from "../../control/messages.js";
import { TetherError, messageOf } from "../../util/errors.js";
import type { Look } from "../check.js";
import { failure, ok, warning, type Finding } from "../finding.js";
import type { Once } from "../once.js";

/** Said by a check of its own. */
const toldElsewhere: ReadonlySet<string> = new Set(["override-not-included"]);

/** `status` rejects with code `no-daemon` where none runs. */
export function daemonCheck(status: Once<StatusReport>): Look {
  return async (signal) => {
    try {
      const { pid, warnings } = await status(signal);
      const own = warnings.filter(({ cache, code }) => cache === null && !toldElsewhere.has(code));
      return [ok(`runs as process ${pid}`), ...own.map(({ text }) => warning(`it says: ${text}`, null))];
    } catch (error) {
      if (!(error instanceof TetherError) || error.code !== "no-daemon") throw error;
      return failure(
        "no daemon runs, so Nix is told of no cache",
        "Start it: `systemctl --user enable --now nix-tether.socket nix-tether.service`",
      );
    }
  };
}

/** `wasReached` tells whether its nix-daemon has answered here. */
export function stateCheck(name: string, wasReached: () => boolean, status: Once<StatusReport>): Look {
  return async (signal) => {
    const cache = (await status(signal)).caches[name];
    if (cache === undefined) {
      return failure(
        "the daemon does not know this cache: it has read another configuration",
        "`systemctl --user restart nix-tether`",
      );
    }
    return judgeState(name, cache, wasReached());
  };
}

/** Pure: `reached` tells whether the machine's nix-daemon has answered here. */
export function judgeState(name: string, cache: CacheStatus, reached: boolean): Finding {
  const { state, reason, listed, address } = cache;
  const listing = listed ? "and Nix is told of it" : "but Nix is not told of it";
  switch (state) {
    case "online":
      if (!reached)
        return warning(`the daemon says that it is online at ${address}, which was not so from here`, null);
      return listed
        ? ok(`online at ${address}, ${listing}`)
        : warning(`online at ${address}, ${listing}`, `\`nix-tether status ${name}\` says why.`);
    case "paused":
      return warning("paused by you, so Nix is not told of it", `\`nix-tether resume ${name}\``);
    case "connecting":
      return ok("the daemon is connecting");
    case "offline":
    case "waiting":
      return reached
        ? failure(
            `the daemon has not reached it, other than this command: ${reason}`,
            `\`nix-tether resume ${name}\` has it try at once. If it fails again, it has another environment or configuration: \`systemctl --user restart nix-tether\``,
          )
        : ok(`the daemon says the same: ${reason}`);
  }
}

const gatewayMs = 5_000;

export function gatewayCheck(name: string, port: number): Look {
  return async (signal) => {
    const url = `http://127.0.0.1:${port}/${name}/nix-cache-info`;
    const restart = "`systemctl --user restart nix-tether.socket nix-tether.service`";
    const code = await statusOf(url, signal).catch((error: unknown) => messageOf(error));
    if (code === 200) return ok(`answers at 127.0.0.1:${port}`);
    if (typeof code === "string") return failure(`does not answer at 127.0.0.1:${port}: ${code}`, restart);
    return failure(
      code === 403
        ? `port ${port} of 127.0.0.1 is held by another user's gateway`
        : `who answers at 127.0.0.1:${port} knows no ${name} (HTTP ${code})`,
      code === 403 ? "Set another gateway.port in the configuration; the URLs change with it." : restart,
    );
  };
}

/** The status code of the answer. */
function statusOf(url: string, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent: false, timeout: gatewayMs, signal }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    request.on("timeout", () => request.destroy(new Error(`no answer within ${gatewayMs / 1000} s`)));
    request.on("error", reject);
  });
}
