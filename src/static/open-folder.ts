// Opens the folder of a static cache, wherever it lies.

import type { Logger } from "pino";
import { processorsFile } from "../config/dirs.js";
import type { Endpoint } from "../link/link.js";
import type { LoginArgs } from "../link/login.js";
import { aesInFiles } from "../link/processors.js";
import { openProcessors, type Processors } from "../link/processors-file.js";
import { connectSftp } from "../link/sftp-link.js";
import { readSshSettings } from "../link/ssh-config.js";
import { TetherError } from "../util/errors.js";
import type { CacheFolder } from "./cache-folder.js";
import { createLocalFolder } from "./local-folder.js";
import { createSftpFolder } from "./sftp-folder.js";
import type { StaticTarget } from "./target.js";

export interface OpenFolderDeps {
  readonly env: NodeJS.ProcessEnv;
  readonly log: Logger;
  /** What is known of machines' processors, and learnt; by default in this user's state folder. */
  readonly processors?: Processors;
  /** Where a host answers at this moment; none where nobody does. Rejects with the signal's reason. */
  readonly locate: (hostname: string, signal: AbortSignal) => Promise<readonly Endpoint[]>;
}

/**
 * Neither makes the folder nor looks whether it is there. Rejects with `absent` where the machine does not answer, as
 * `connectSftp` and `readSshSettings` do, or with the signal's reason.
 */
export async function openFolder(
  { place }: Pick<StaticTarget, "place">,
  { env, log, locate, ...deps }: OpenFolderDeps,
  signal: AbortSignal,
): Promise<CacheFolder> {
  if (place.kind === "local") return createLocalFolder(place.folder);
  const { link: config, folder } = place;
  const settings = await readSshSettings(config, { env, signal });
  const endpoints = await locate(settings.hostname, signal);
  if (endpoints.length === 0) {
    throw new TetherError("absent", `${settings.hostname} does not answer on this network`, {
      remedy:
        "Switch the machine on and join its network, or give it an address as HostName in ~/.ssh/config.",
    });
  }
  const processors = deps.processors ?? openProcessors({ file: processorsFile(env), log });
  const ciphersFor: LoginArgs["ciphersFor"] = (known) => processors.ciphersFor(settings, known);
  const link = await connectSftp({ config, settings, endpoints, ciphersFor, env, log, signal });
  processors.learn(link, () => aesInFiles(link));
  return createSftpFolder(link, folder, `${settings.user}@${config.host}:${folder}`);
}
