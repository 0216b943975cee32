// A machine with sshd's SFTP, and what one needs to reach it: a home with a key and an ssh_config.

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { CacheFolder } from "../../src/static/cache-folder.js";
import { openFolder, type OpenFolderDeps } from "../../src/static/open-folder.js";
import type { StaticTarget } from "../../src/static/target.js";
import { silentLog } from "./silent-log.js";
import { makeKey, startSshd, type Sshd, type SshdOptions } from "./sshd.js";

export interface SftpFixture {
  readonly dir: string;
  /** What a program outside runs in to reach it: its ssh reads the fixture's own configuration. */
  readonly env: NodeJS.ProcessEnv;
  readonly knownHosts: string;
  /** An sshd that lets the key in; it ends with `endTest`. By default with `Subsystem sftp internal-sftp`. */
  sshd(options?: SshdOptions): Promise<Sshd>;
  /** The cache in that folder of `nas.test`, which answers there. */
  target(at: { readonly port: number }, folder: string): StaticTarget;
  /** Everything to open it with; `address` is where `nas.test` is. */
  deps(address?: string): OpenFolderDeps;
  /** Ends with `endTest`. */
  open(at: { readonly address: string; readonly port: number }, folder: string): Promise<CacheFolder>;
  endTest(): Promise<void>;
  dispose(): Promise<void>;
}

export const sftpHost = "nas.test";

export async function makeSftpFixture(): Promise<SftpFixture> {
  const dir = await mkdtemp(path.join(tmpdir(), "nix-tether-sftp-"));
  for (const name of ["bin", "home"]) await mkdir(path.join(dir, name));
  const key = await makeKey(dir, "key");
  const knownHosts = path.join(dir, "known_hosts");
  const config = path.join(dir, "ssh_config");
  const lines = [`IdentityFile ${key.file}`, "IdentityAgent none", `UserKnownHostsFile ${knownHosts}`];
  await writeFile(config, `${lines.join("\n")}\n`);
  await writeFile(path.join(dir, "bin", "ssh"), `#!/bin/sh\nexec /usr/bin/ssh -F ${config} "$@"\n`, {
    mode: 0o755,
  });
  const env = { PATH: `${path.join(dir, "bin")}:${process.env["PATH"]}`, HOME: path.join(dir, "home") };
  const servers = new Set<Sshd>();
  const folders = new Set<CacheFolder>();
  const deps: SftpFixture["deps"] = (address = "127.0.0.1") => ({
    env,
    log: silentLog,
    locate: async () => [{ address, family: 4 }],
  });
  const target: SftpFixture["target"] = ({ port }, folder) => ({
    name: "nas",
    place: { kind: "sftp", folder, link: { host: sftpHost, port } },
    signingKey: null,
    compression: "zstd",
    collection: { olderThanMs: null, maxBytes: null, keep: [] },
  });
  return {
    dir,
    env,
    knownHosts,
    sshd: async (options = {}) => {
      const sshd = await startSshd({
        authorizedKeys: [key.publicKey],
        config: ["Subsystem sftp internal-sftp"],
        ...options,
      });
      servers.add(sshd);
      await writeFile(knownHosts, `${sshd.knownHostsLine(sftpHost)}\n`, { flag: "a" });
      return sshd;
    },
    target,
    deps,
    open: async (at, folder) => {
      const opened = await openFolder(target(at, folder), deps(at.address), new AbortController().signal);
      folders.add(opened);
      return opened;
    },
    endTest: async () => {
      for (const folder of folders) folder.close();
      folders.clear();
      await Promise.all([...servers].map((sshd) => sshd.stop()));
      servers.clear();
      await rm(knownHosts, { force: true });
    },
    dispose: () => rm(dir, { recursive: true, force: true }),
  };
}
