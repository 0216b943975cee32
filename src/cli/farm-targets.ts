// The places that a farm pushes to, out of the configuration.

import type { FarmConfig } from "../config/farm-schema.js";
import type { Config } from "../config/schema.js";
import type { PushTarget } from "../farm/targets.js";
import type { PushProgress } from "../static/push-meter.js";
import { pushPaths } from "../static/push.js";
import { resolveTarget } from "../static/target.js";
import { askQueue } from "./ask-queue.js";
import type { CliContext } from "./context.js";
import { withLocate } from "./open-target.js";
import { recheck } from "./recheck.js";
import { bytesOf, counted } from "./words.js";

/** That each is one or the other is checked where the configuration is loaded. */
export function farmTargets(farm: FarmConfig, config: Config, context: CliContext): PushTarget[] {
  return farm["push-to"].map((name) =>
    Object.hasOwn(config.static, name) ? staticTarget(name, config, context.env) : queueTarget(name, context),
  );
}

function staticTarget(name: string, config: Config, env: NodeJS.ProcessEnv): PushTarget {
  const target = resolveTarget(name, config, "/");
  return {
    name,
    signingKey: target.signingKey,
    push: async (paths, { signal, onDoing, onNotice }) => {
      const onProgress = (progress: PushProgress): void => onDoing(doing(progress));
      const report = await withLocate(env, (deps) =>
        pushPaths({ target, paths, signal, onProgress, onNotice }, deps),
      );
      // The same folder may be one of this machine's caches, by HTTP.
      if (report.paths > 0) await recheck(env, null);
      const { paths: sent, alreadyThere, bytes, unsigned } = report;
      return { queued: false, paths: sent, alreadyThere, bytes, unsigned };
    },
  };
}

function doing({ state, waits, paths, bytes }: PushProgress): string {
  if (waits !== null) return "the link was cut; connecting again";
  if (state === "looking") return "looks at what is there already";
  return `${paths.arrived} of ${counted(paths.all, "path")}, ${bytesOf(bytes.sent, bytes.all)}`;
}

/** The daemon's queue of uploads, which is on disk: what is in it arrives some day. */
function queueTarget(name: string, context: CliContext): PushTarget {
  return {
    name,
    signingKey: null,
    push: async (paths) => {
      await askQueue(context, { command: "enqueue", paths: [...paths] });
      return { queued: true, paths: paths.length, alreadyThere: 0, bytes: 0, unsigned: 0 };
    },
  };
}
