// The places that a farm pushes to, out of the configuration.

import type { FarmConfig } from "../config/farm-schema.js";
import type { Config } from "../config/schema.js";
import type { PushTarget } from "../farm/targets.js";
import { TetherError } from "../util/errors.js";
import { askQueue } from "./ask-queue.js";
import type { CliContext } from "./context.js";

/** That each is one or the other is checked where the configuration is loaded. */
export function farmTargets(farm: FarmConfig, config: Config, context: CliContext): PushTarget[] {
  return farm["push-to"].map((name) =>
    Object.hasOwn(config.static, name) ? staticTarget(name) : queueTarget(name, context),
  );
}

function staticTarget(name: string): PushTarget {
  return {
    name,
    push: () => Promise.reject(new TetherError("internal", "not yet")),
  };
}

/** The daemon's queue of uploads, which is on disk: what is in it arrives some day. */
function queueTarget(name: string, context: CliContext): PushTarget {
  return {
    name,
    push: async (paths) => {
      await askQueue(context, { command: "enqueue", paths: [...paths] });
      return { queued: true, paths: paths.length, alreadyThere: 0, bytes: 0 };
    },
  };
}
