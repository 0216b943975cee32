// Does Nix run the post-build hook, is it ours, and is it root's alone?

import { accessSync, constants, readFileSync, realpathSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Config } from "../../config/schema.js";
import { messageOf } from "../../util/errors.js";
import type { Look } from "../check.js";
import { failure, ok, skipped, warning, type Finding } from "../finding.js";
import type { Here } from "../here.js";
import { whereOthersCouldChange } from "../root-only.js";

/** The same three folders up from `src/doctor/checks` and from `dist/doctor/checks`. */
export const ownHook = fileURLToPath(new URL("../../../hooks/post-build-hook.sh", import.meta.url));

const hookConf = "/etc/nix-tether/hook.conf";

export function hookCheck(here: Here, config: Config): Look {
  return async (signal): Promise<Finding> => {
    const { to, source } = config.uploads;
    if (to.length === 0) return skipped("not needed: nothing is uploaded (uploads.to is empty)");
    if (source === "watch") return skipped('not needed: uploads.source = "watch"');
    const alone = (await here.daemon(signal)) === null;
    // A nix-daemon runs only what root has named.
    const settings = await (alone ? here.own(signal) : here.system(signal));
    return judgeHook(settings.text("post-build-hook"), {
      alone,
      user: os.userInfo().username,
      conf: hookConf,
      openAt: whereOthersCouldChange,
    });
  };
}

export interface HookFacts {
  /** Whether Nix runs it as us: there is no nix-daemon. */
  readonly alone: boolean;
  readonly user: string;
  /** What the hook itself reads. */
  readonly conf: string;
  /** See `whereOthersCouldChange`. */
  readonly openAt: (file: string) => string | null;
}

/** `hook` is what Nix is told to run. */
export function judgeHook(hook: string, { alone, user, conf, openAt }: HookFacts): Finding {
  const nixConf = alone ? "your nix.conf" : "/etc/nix/nix.conf, and restart the nix-daemon";
  const line = `post-build-hook = ${ownHook}`;
  if (hook === "") {
    const text = "Nix runs no post-build hook, so what is built here is not queued for its upload";
    return failure(text, `Add this line to ${nixConf}: ${line}`);
  }
  try {
    accessSync(hook, constants.X_OK);
  } catch (error) {
    const text = `the post-build hook ${hook} can not be run, and every build fails with it: ${messageOf(error)}`;
    return failure(text, `Correct it in ${nixConf}: ${line}`);
  }
  const open = alone ? null : openAt(hook);
  if (open !== null) {
    return failure(
      `DANGER: root runs the post-build hook ${hook}, and ${open} is not root's alone: who can write there is root`,
      `Copy it to a place of root's, and name that: \`sudo install -D -m 755 ${hook} /etc/nix-tether/post-build-hook.sh\``,
    );
  }
  const text = readOrNull(hook);
  if (text !== null && !/nix[-_]tether/i.test(text)) {
    return warning(
      `Nix runs another post-build hook, ${hook}`,
      `Name it in ${conf} as chain = ${hook}, and add this line to ${nixConf}: ${line}`,
    );
  }
  // A wrapper may name another file.
  if (alone || text === null || text !== readOrNull(realpathSync(ownHook))) return ok(`Nix runs ${hook}`);
  const users = usersIn(readOrNull(conf) ?? "");
  if (users.includes(user)) return ok(`Nix runs ${hook}, for ${users.join(", ")}`);
  return failure(
    `Nix runs ${hook}, but ${conf} does not name you, so nothing is queued for you`,
    `\`sudo mkdir -p ${path.dirname(conf)}; echo 'user = ${user}' | sudo tee -a ${conf}\``,
  );
}

function usersIn(text: string): string[] {
  return [...text.matchAll(/^\s*user\s*=\s*(\S+)/gm)].flatMap(([, name]) => name ?? []);
}

function readOrNull(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null;
  }
}
