// (a) (b) (c) (f): `nix-store -r` of what the Pi has into an empty store, by our gateway, by ssh-ng:// and from nginx; and
// (d) thousands of questions for what is not there.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { inTurn, scaled, type Bench, type Measurement } from "../bench.js";
import type { Setting } from "../series.js";
import { largePaths, mixedClosure, pathsOf, smallClosure, type Planned } from "../world/closures.js";
import { cpuSeconds } from "../world/cpu.js";
import { startDelayProxy } from "../world/delay-proxy.js";
import { makeLaptop, startTether, substituterOf, type Laptop, type Way } from "../world/laptop.js";
import { makePi, type Pi } from "../world/pi.js";
import { askForNarinfos, missingPaths } from "./missing.js";
import type { NixVersion } from "../../test/support/private-nix.js";

const ways: readonly Way[] = ["nix-tether", "ssh-ng", "nginx"];

/** A web server on this very machine that has nothing: how long Nix itself takes to be told so. */
const floor = "404 at once";

/** What is fetched, and by how many commands at once. */
interface Task {
  readonly letter: string;
  readonly what: string;
  readonly closures: readonly (readonly Planned[])[];
  /** For each command what it is told to fetch. */
  readonly commands: readonly (readonly string[])[];
}

export const fetching: Measurement = {
  letters: "abcdf",
  run: async (bench, letters) => {
    const tasks = plan(bench).filter(({ letter }) => letters.includes(letter));
    for (const nix of bench.options.nix) {
      bench.say(`Nix ${nix}: filling the Pi`);
      await bench.scope.within(async (scope) => {
        const pi = await makePi(scope, nix);
        await pi.fill(warmUp);
        await pi.fill(dayAtWork);
        for (const { closures } of tasks) for (const closure of closures) await pi.fill(closure);
        const http = await pi.serve();
        const empty = await pi.serveNothing();
        for (const delayMs of bench.options.delays) {
          const proxy = await scope.add(startDelayProxy(delayMs, [pi.sshd.port, http]));
          const [sshPort = 0, httpPort = 0] = proxy.ports;
          const place = { pi, nix, delayMs, ports: { ssh: sshPort, http: httpPort } };
          for (const task of tasks) {
            await inTurn(bench, ways, (way) => fetchOnce(bench, place, task, way));
          }
          if (!letters.includes("d")) continue;
          await inTurn<Way | null>(bench, [...ways, null], (way) =>
            way === null ? askNobody(bench, place, empty) : askOnce(bench, place, way),
          );
        }
      });
    }
  },
};

/** Fetched before anything is measured, by every way. */
const warmUp = smallClosure("warm-up", 50);

/** Then by those ways that have a daemon, ours or nginx: it runs for days, and V8 compiles only what is used much. */
const dayAtWork = smallClosure("day-at-work", 1_000);

/** Where a fetch happens. */
interface Place {
  readonly pi: Pi;
  readonly nix: NixVersion;
  readonly delayMs: number;
  readonly ports: { readonly ssh: number; readonly http: number };
}

function plan(bench: Bench): Task[] {
  const small = smallClosure("small", scaled(bench, 2_000));
  const large = largePaths("large", 5, scaled(bench, 200e6));
  const mixed = mixedClosure("mixed", scaled(bench, 600));
  const four = [1, 2, 3, 4].map((n) => smallClosure(`four-${n}`, scaled(bench, 250)));
  const root = (closure: readonly Planned[]): string[] => pathsOf(closure).slice(0, 1);
  const megabytes = Math.round(mixed.reduce((sum, { bytes }) => sum + bytes, 0) / 1e6);
  return [
    { letter: "a", what: `${small.length} small paths`, closures: [small], commands: [root(small)] },
    {
      letter: "b",
      what: `five of ${(large[0]?.bytes ?? 0) / 1e6} MB`,
      closures: [large],
      commands: [pathsOf(large)],
    },
    {
      letter: "c",
      what: `${mixed.length} mixed paths, ${megabytes} MB`,
      closures: [mixed],
      commands: [root(mixed)],
    },
    {
      letter: "f",
      what: `four commands, ${four[0]?.length} small paths each`,
      closures: four,
      commands: four.map(root),
    },
  ];
}

/** One fetch into a new store, in which nothing but the warm-up is known. */
function fetchOnce(bench: Bench, place: Place, task: Task, way: Way): Promise<void> {
  const { nix, delayMs } = place;
  const setting: Setting = { measure: task.letter, what: task.what, nix, delayMs };
  return withLaptop(bench, place, way, async ({ laptop, url, daemonPid, warmUpSeconds }) => {
    const commands = task.commands.map((paths) => `${realise(paths, url)} & jobs="$jobs $!"`);
    const script = `jobs=\n${commands.join("\n")}\nfor job in $jobs; do wait $job; done`;
    if (task.letter === "a") {
      const first = { ...setting, measure: "a0", what: `the first ${warmUp.length} paths after the start` };
      bench.recorder.add(first, way, "s", warmUpSeconds);
    }
    const before = daemonPid === null ? 0 : await cpuSeconds(daemonPid);
    const seconds = await laptop.time(script);
    const expected = task.closures.flat().length;
    const got = (await laptop.run(`nix-store -qR ${task.commands.flat().join(" ")} | wc -l`)).trim();
    if (Number(got) !== expected) throw new Error(`${way}: ${got} of ${expected} paths came`);
    bench.recorder.add(setting, way, "s", seconds);
    bench.say(`${task.letter} ${task.what}, Nix ${nix}, ${delayMs} ms, ${way}: ${seconds.toFixed(2)} s`);
    if (daemonPid === null) return;
    const bytes = task.closures.flat().reduce((sum, planned) => sum + planned.bytes, 0);
    const used = (await cpuSeconds(daemonPid)) - before;
    if (task.letter === "b") bench.recorder.add(setting, way, "s/GB", used / (bytes / 1e9));
    else bench.recorder.add(setting, "nix-tether's CPU", "s", used);
  });
}

/**
 * Thousands of paths that nobody has: as Nix asks for them, and where there is HTTP, as quick as one can ask. Each time by a
 * daemon of ours that has not been asked in vain before.
 */
async function askOnce(bench: Bench, place: Place, way: Way): Promise<void> {
  if (way !== "ssh-ng") {
    await withLaptop(bench, place, way, async ({ url }) => {
      const paths = missingPaths("raw", scaled(bench, 3_000));
      recordMissing(bench, place, "raw HTTP", way, await askForNarinfos(new URL(url), paths, 404));
    });
  }
  // That would take it more than a second for each path.
  if (way === "ssh-ng" && place.nix === "2.8") return;
  await withLaptop(bench, place, way, async ({ laptop, url }) => {
    recordMissing(bench, place, "by Nix", way, await askByNix(bench, laptop, url));
  });
}

/** The same questions by Nix, to the port of a web server that has nothing. */
function askNobody(bench: Bench, place: Place, port: number): Promise<void> {
  return bench.scope.within(async (scope) => {
    const laptop = await makeLaptop(scope, place.nix, place.pi, await place.pi.sshConfig(place.ports.ssh));
    const url = `http://127.0.0.1:${port}`;
    // So that Nix has made its memory, as with the other ways.
    await laptop.run(
      `nix-store -r --dry-run ${missingPaths("first", 1).join("")} --option substituters '${url}' 2>/dev/null || :`,
    );
    const seconds = await askByNix(bench, laptop, url);
    recordMissing(bench, place, "by Nix", floor, seconds);
  });
}

async function askByNix(bench: Bench, laptop: Laptop, url: string): Promise<number> {
  const list = join(laptop.nix.dir, "missing");
  await writeFile(list, missingPaths("nix", scaled(bench, 3_000)).join("\n"));
  // It fails, for nobody has them.
  const ask = `xargs -n 100000 nix-store -r --dry-run --option substituters '${url}' <${list} >/dev/null 2>&1`;
  return laptop.time(`${ask} || :`);
}

function recordMissing(
  bench: Bench,
  { nix, delayMs }: Place,
  how: string,
  way: string,
  seconds: number,
): void {
  const what = `${scaled(bench, 3_000)} paths that are not there, ${how}`;
  bench.recorder.add({ measure: "d", what, nix, delayMs }, way, "s", seconds);
  bench.say(`d ${how}, Nix ${nix}, ${delayMs} ms, ${way}: ${seconds.toFixed(2)} s`);
}

/** A laptop that is about to be measured. */
interface Ready {
  readonly laptop: Laptop;
  readonly url: string;
  readonly daemonPid: number | null;
  readonly warmUpSeconds: number;
}

function withLaptop(
  bench: Bench,
  { pi, nix, ports }: Place,
  way: Way,
  body: (ready: Ready) => Promise<void>,
): Promise<void> {
  return bench.scope.within(async (scope) => {
    const laptop = await makeLaptop(scope, nix, pi, await pi.sshConfig(ports.ssh));
    const { url, tether } = await substituterOf(way, ports, (port) =>
      startTether(scope, laptop, pi, port, { profiles: bench.options.profile }),
    );
    const warmUpSeconds = await laptop.time(realise(pathsOf(warmUp).slice(0, 1), url));
    if (way !== "ssh-ng") await laptop.run(realise(pathsOf(dayAtWork).slice(0, 1), url));
    await body({ laptop, url, daemonPid: tether?.daemon.pid ?? null, warmUpSeconds }).catch(
      (error: unknown) => {
        throw new Error(`${way} failed:\n${tether?.home.said().slice(-5_000) ?? ""}`, { cause: error });
      },
    );
  });
}

/** What it says counts only where it fails. */
function realise(paths: readonly string[], url: string): string {
  const command = `nix-store -r ${paths.join(" ")} --option substituters '${url}'`;
  return `( said=$(${command} 2>&1 >/dev/null) || { tail -n 5 <<<"$said" >&2; exit 1; } )`;
}
