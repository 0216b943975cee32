// (p) Filling a static cache on another machine: `nix-tether push`, and `nix copy` into a folder mounted by sshfs. Beside
// them `nix copy` into a folder of this machine, which tells how much of both is Nix's compressing.

import { execFile } from "node:child_process";
import { createWriteStream } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { inTurn, scaled, type Bench, type Measurement } from "../bench.js";
import type { Scope } from "../scope.js";
import type { Setting } from "../series.js";
import {
  exportOf,
  largePaths,
  mixedClosure,
  pathsOf,
  smallClosure,
  type Planned,
} from "../world/closures.js";
import { startDelayProxy } from "../world/delay-proxy.js";
import { makePrivateNix, type NixVersion } from "../../test/support/private-nix.js";
import { repositoryFile } from "../../test/support/repository.js";
import { makeSftpFixture } from "../../test/support/sftp-fixture.js";

const run = promisify(execFile);

export const pushing: Measurement = {
  letters: "p",
  run: async (bench) => {
    const small = smallClosure("push-small", scaled(bench, 500));
    const mixed = mixedClosure("push-mixed", scaled(bench, 300));
    const large = largePaths("push-large", 3, scaled(bench, 100e6));
    const tasks: Task[] = [
      { what: `${small.length} small paths`, closure: small, roots: pathsOf(small).slice(0, 1) },
      { what: `${mixed.length} mixed paths`, closure: mixed, roots: pathsOf(mixed).slice(0, 1) },
      { what: `three of ${(large[0]?.bytes ?? 0) / 1e6} MB`, closure: large, roots: pathsOf(large) },
    ];
    for (const nix of bench.options.nix)
      for (const delayMs of bench.options.delays)
        for (const task of tasks) await bench.scope.within((scope) => push(bench, scope, nix, delayMs, task));
  },
};

interface Task {
  readonly what: string;
  readonly closure: readonly Planned[];
  readonly roots: readonly string[];
}

async function push(
  bench: Bench,
  scope: Scope,
  version: NixVersion,
  delayMs: number,
  { what, closure, roots }: Task,
): Promise<void> {
  const nix = await scope.add(makePrivateNix(version, () => "experimental-features = nix-command"));
  const file = join(nix.dir, "import");
  await pipeline(Readable.from(exportOf(closure)), createWriteStream(file));
  await nix.run(`nix-store --import <${file} >/dev/null`);
  await rm(file);

  const fixture = await scope.add(makeSftpFixture());
  const sshd = await fixture.sshd();
  await scope.add({ dispose: () => fixture.endTest() });
  const { ports } = await scope.add(startDelayProxy(delayMs, [sshd.port]));
  const [port = 0] = ports;
  const key = sshd.hostKeys[0]?.publicKey ?? "";
  await writeFile(fixture.knownHosts, `127.0.0.1,[127.0.0.1]:* ${key}\n`);
  const caches = join(nix.dir, "caches");
  const mount = join(nix.dir, "mount");
  for (const folder of [caches, mount]) await mkdir(folder);
  // Inside, where Nix is.
  await nix.run(
    `PATH=${fixture.env["PATH"]}; sshfs -p ${port} root@127.0.0.1:${caches} ${mount} >/dev/null 2>&1 </dev/null`,
  );
  await scope.add({ dispose: async () => void (await nix.run(`fusermount -u ${mount}`)) });

  const ways = {
    "nix-tether": async (folder: string) => {
      const env = {
        ...fixture.env,
        ...nix.env,
        PATH: `${fixture.env["PATH"]?.split(":")[0]}:${nix.env["PATH"]}`,
      };
      const args = [
        repositoryFile("dist/main.js"),
        "push",
        `sftp://root@127.0.0.1:${port}${folder}`,
        ...roots,
      ];
      await run(process.execPath, args, { env });
    },
    sshfs: (folder: string) => copy(folder.replace(caches, mount)),
    "local folder": (folder: string) => copy(folder),
  };
  const copy = async (folder: string): Promise<void> => {
    await nix.run(`nix copy --no-check-sigs --to 'file://${folder}?compression=zstd' ${roots.join(" ")}`);
  };
  const setting: Setting = { measure: "p", what: `push of ${what}`, nix: version, delayMs };
  await inTurn(bench, Object.keys(ways) as (keyof typeof ways)[], async (way) => {
    const folder = await mkdtemp(join(caches, "cache-"));
    const began = performance.now();
    await ways[way](folder);
    const seconds = (performance.now() - began) / 1000;
    const there = (await readdir(folder)).filter((name) => name.endsWith(".narinfo")).length;
    if (there !== closure.length) throw new Error(`${way}: ${there} paths arrived`);
    await rm(folder, { recursive: true });
    bench.recorder.add(setting, way, "s", seconds);
    bench.say(`p ${setting.what}, Nix ${version}, ${delayMs} ms, ${way}: ${seconds.toFixed(2)} s`);
  });
}
