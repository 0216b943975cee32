// The machine at home: a store with its nix-daemon, sshd in front of it, and the same paths behind nginx.

import { createWriteStream } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { makePrivateNix, type NixVersion, type PrivateNix } from "../../test/support/private-nix.js";
import { makeKey, startSshd, type Sshd, type TestKey } from "../../test/support/sshd.js";
import type { Scope } from "../scope.js";
import { exportOf, type Planned } from "./closures.js";
import { startNginx } from "./nginx.js";

export interface Pi {
  readonly nix: PrivateNix;
  readonly version: NixVersion;
  /** What its paths are signed with. */
  readonly publicKey: string;
  /** Of the nix-daemon. */
  readonly daemonSocket: string;
  readonly sshd: Sshd;
  /** Of the user who may log in. */
  readonly key: TestKey;
  readonly knownHosts: string;
  /** Makes these paths, signed. */
  fill(closure: readonly Planned[]): Promise<void>;
  /** Serves all that is there by now; resolves to nginx's port. */
  serve(): Promise<number>;
  /** Serves a binary cache in which nothing is; resolves to nginx's port. */
  serveNothing(): Promise<number>;
  /** Makes a host for `ssh -F`; resolves to that file. */
  sshConfig(port: number): Promise<string>;
}

/** Its name for ssh. */
export const piHost = "pi";

/** `sshdConfig` are further lines for sshd. */
export async function makePi(
  scope: Scope,
  version: NixVersion,
  sshdConfig: readonly string[] = [],
): Promise<Pi> {
  const nix = await scope.add(makePrivateNix(version, () => "experimental-features = nix-command"));
  const at = (...names: string[]): string => join(nix.dir, ...names);
  await nix.run(`nix-store --generate-binary-cache-key pi-1 ${at("secret")} ${at("public")}`);
  const daemonSocket = await nix.listen();
  const key = await makeKey(nix.dir, "user");
  const sshd = await startSshd({
    authorizedKeys: [key.publicKey],
    env: { PATH: nix.env["PATH"] },
    config: ["MaxStartups 100", "Subsystem sftp internal-sftp", ...sshdConfig],
  });
  await scope.add({ dispose: () => sshd.stop() });
  const knownHosts = at("known_hosts");
  // By address for us, and by name for ssh, on whatever port the delaying proxy has.
  const { publicKey } = sshd.hostKeys[0] ?? key;
  await writeFile(knownHosts, `${piHost},127.0.0.1,[127.0.0.1]:* ${publicKey}\n`);
  return {
    nix,
    version,
    publicKey: (await readFile(at("public"), "utf8")).trim(),
    daemonSocket,
    sshd,
    key,
    knownHosts,
    fill: async (closure) => {
      await pipeline(Readable.from(exportOf(closure)), createWriteStream(at("import")));
      await nix.run(`nix-store --import <${at("import")} >/dev/null`);
      await rm(at("import"));
      await nix.run(`nix store sign --key-file ${at("secret")} --all`);
    },
    serve: async () => {
      await mkdir(at("cache"));
      await nix.run(`nix copy --all --to 'file://${at("cache")}?compression=none'`);
      return (await scope.add(startNginx(nix.dir, at("cache")))).port;
    },
    serveNothing: async () => {
      await mkdir(at("empty", "cache"), { recursive: true });
      await writeFile(at("empty", "cache", "nix-cache-info"), "StoreDir: /nix/store\n");
      return (await scope.add(startNginx(at("empty"), at("empty", "cache")))).port;
    },
    sshConfig: async (port) => {
      const lines = [
        `Host ${piHost}`,
        "HostName 127.0.0.1",
        `Port ${port}`,
        "User root",
        `IdentityFile ${key.file}`,
        `UserKnownHostsFile ${knownHosts}`,
        `HostKeyAlias ${piHost}`,
      ];
      const file = at(`ssh-${port}`);
      await writeFile(file, `${lines.join("\n")}\n`);
      return file;
    },
  };
}
