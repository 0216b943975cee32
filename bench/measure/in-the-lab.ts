// (j) (k) What needs two machines with systemd, NetworkManager and avahi: what the daemon costs while it idles, with the Pi and
// without it, and how soon it notices that the Pi comes and goes.

import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Lab, type Running } from "../../test/lab/lab.js";
import { ListingWatch } from "../../test/lab/listing-watch.js";
import { onePi, Tether } from "../../test/lab/tether.js";
import { scaled, type Bench, type Measurement } from "../bench.js";
import type { MostFrequent } from "../world/timer-watch.js";

export const inTheLab: Measurement = {
  letters: "jk",
  run: async (bench, letters) => {
    bench.say("bringing up the lab");
    const lab = await Lab.up({ nix: bench.options.nix[0] ?? "2.8" });
    await bench.scope.add({ dispose: () => lab.down() });
    const tether = await Tether.install(lab, onePi);
    await tether.waitListed(["pi"]);
    if (letters.includes("k")) await notice(bench, lab, tether);
    if (letters.includes("j")) {
      await lab.exec("laptop", counting);
      await idle(bench, lab, tether, "idle");
      await lab.cable("pi", "down");
      await tether.waitListed([]);
      await idle(bench, lab, tether, "away");
      await lab.cable("pi", "up");
      await watchTimers(bench, lab, tether);
    }
  },
};

async function notice(bench: Bench, lab: Lab, tether: Tether): Promise<void> {
  const setting = { measure: "k", what: "coming and going", nix: null, delayMs: null };
  const record = (variant: string, from: number, to: number): void => {
    bench.recorder.add(setting, variant, "ms", to - from);
    bench.say(`k ${variant}: ${(to - from).toFixed(0)} ms`);
  };
  const watch = await ListingWatch.start(lab);
  await bench.scope.add({ dispose: () => watch.stop() });
  const answers = await AnswerWatch.start(lab);
  await bench.scope.add({ dispose: () => answers.stop() });
  const since = (at: number, listed: boolean): Promise<number> =>
    lab.waitFor(
      `listed: ${listed}`,
      async () => watch.samples.find((one) => one.at >= at && one.listed === listed)?.at,
      60_000,
    );
  for (let round = 0; round < scaled(bench, 10); round += 1) {
    const pulled = Date.now();
    await lab.cable("laptop", "down");
    const unlisted = await since(pulled, false);
    const event = watch.samples.find(({ at, carriers }) => at >= pulled && carriers.length === 0)?.at ?? NaN;
    record("cable pulled", event, unlisted);
    // Long enough for NetworkManager to take the addresses away.
    await sleep(8_000);
    const plugged = Date.now();
    await lab.cable("laptop", "up");
    const listed = await since(plugged, true);
    record("mDNS answer", answers.firstSince(plugged), listed);
    await sleep(1_000);
    const silent = Date.now();
    await lab.cable("pi", "down");
    record("silent loss", silent, await since(silent, false));
    await lab.cable("pi", "up");
    await tether.waitListed(["pi"]);
    await sleep(1_000);
  }
}

/** Notes when multicast DNS answers of the Pi reach the laptop. */
class AnswerWatch {
  readonly #times: number[] = [];
  readonly #running: Running;

  private constructor(running: Running) {
    this.#running = running;
  }

  static async start(lab: Lab): Promise<AnswerWatch> {
    // Plain Node, for it runs in the machine. Of IPv4 alone: avahi answers on both.
    const script = `
      const socket = require("node:dgram").createSocket({ type: "udp4", reuseAddr: true });
      socket.on("message", (packet, from) => {
        if (from.address === "10.77.0.1" && packet[2] & 128) console.log(Date.now());
      });
      socket.bind(5353, () => { socket.addMembership("224.0.0.251", "10.77.0.2"); console.log(0); });
    `;
    const running = lab.start("laptop", `exec /opt/node -e '${script}'`);
    const watch = new AnswerWatch(running);
    createInterface({ input: running.stdout }).on("line", (line) => watch.#times.push(Number(line)));
    await lab.waitFor("the listener", async () => watch.#times.length > 0);
    return watch;
  }

  /** NaN where there was none. */
  firstSince(at: number): number {
    return this.#times.find((time) => time >= at) ?? NaN;
  }

  stop(): Promise<void> {
    return this.#running.stop();
  }
}

/** Counters of the daemon, one `name value` a line: kB, nanoseconds, switches, and bytes of IP packets. */
const counters = `
for kind in ssh mdns; do
  nft -j list counter inet bench $kind | sed "s/.*\\"bytes\\": \\([0-9]*\\).*/$kind \\1/"
done
awk '/^VmRSS/ { print "rss", $2 }' /proc/$pid/status
awk '/^Pss:/ { print "pss", $2 }' /proc/$pid/smaps_rollup
cat /proc/$pid/task/*/schedstat | awk '{ sum += $1 } END { printf "cpu %d\\n", sum }'
cat /proc/$pid/task/*/status | awk '/^voluntary/ { sum += $2 } END { print "wake", sum }'
`;

const counting = `
nft -f - <<'RULES'
table inet bench {
  counter ssh { }
  counter mdns { }
  chain in { type filter hook input priority 0; tcp sport 22 counter name ssh; udp dport 5353 counter name mdns; }
  chain out { type filter hook output priority 0; tcp dport 22 counter name ssh; udp dport 5353 counter name mdns; }
}
RULES
`;

async function idle(bench: Bench, lab: Lab, tether: Tether, how: "idle" | "away"): Promise<void> {
  const { idleSeconds } = bench.options;
  const setting = { measure: "j", what: `${how} for ${idleSeconds} s`, nix: null, delayMs: null };
  bench.say(`j ${setting.what}`);
  const { pid } = await tether.status();
  const read = async (): Promise<Map<string, number>> => {
    const { stdout } = await lab.exec("laptop", `pid=${pid}\n${counters}`);
    const lines = stdout.trim().split("\n");
    return new Map(lines.map((line) => [line.split(" ")[0] ?? "", Number(line.split(" ")[1])]));
  };
  await settle(bench);
  const before = await read();
  await sleep(idleSeconds * 1000);
  const after = await read();
  const perMinute = (name: string): number =>
    (((after.get(name) ?? NaN) - (before.get(name) ?? NaN)) / idleSeconds) * 60;
  const add = bench.recorder.add.bind(bench.recorder, setting);
  add("RSS", "MB", ((after.get("rss") ?? NaN) * 1024) / 1e6);
  add("PSS", "MB", ((after.get("pss") ?? NaN) * 1024) / 1e6);
  add("CPU", "ms/min", perMinute("cpu") / 1e6);
  add("wake-ups", "/min", perMinute("wake"));
  add("SSH on the wire", "bytes/min", perMinute("ssh"));
  add("mDNS on the wire, avahi's included", "bytes/min", perMinute("mdns"));
}

/** What a status request and the coming or going of the Pi have left behind is over by then. */
function settle(bench: Bench): Promise<void> {
  return sleep(Math.min(30, bench.options.idleSeconds) * 1000);
}

/** How often the daemon's most frequent timer goes off, in a daemon that is started for this, with the Pi and without it. */
async function watchTimers(bench: Bench, lab: Lab, tether: Tether): Promise<void> {
  const folder = "/etc/systemd/user/nix-tether.service.d";
  const program = "/opt/nix-tether/build/bench/world/timer-watch.js";
  const dropIn = `[Service]\nEnvironment=NODE_OPTIONS=--import=${program}`;
  await lab.exec("laptop", `mkdir -p ${folder}; cat >${folder}/timers.conf <<'DROPIN'\n${dropIn}\nDROPIN`);
  await tether.shell("systemctl --user daemon-reload");
  await tether.restart();
  const seconds = bench.options.idleSeconds / 5;
  for (const how of ["idle", "away"] as const) {
    if (how === "away") await lab.cable("pi", "down");
    await tether.waitListed(how === "away" ? [] : ["pi"]);
    const setting = { measure: "j", what: `${how} for ${seconds} s, timers`, nix: null, delayMs: null };
    bench.say(`j ${setting.what}`);
    await settle(bench);
    await mostFrequent(lab, tether);
    await sleep(seconds * 1000);
    const found = await mostFrequent(lab, tether);
    bench.say(
      `j most frequent: ${found === null ? "none" : `every ${found.everySeconds.toFixed(1)} s, ${found.site}`}`,
    );
    if (found !== null) bench.recorder.add(setting, "most frequent", "s", found.everySeconds);
  }
}

/** Since the last time it was asked. */
async function mostFrequent(lab: Lab, tether: Tether): Promise<MostFrequent> {
  const reports = async (): Promise<string[]> =>
    (await tether.journal()).flatMap(({ message }) => (message.startsWith('{"timers":') ? [message] : []));
  const before = (await reports()).length;
  await tether.shell("systemctl --user kill --kill-whom=main -s USR2 nix-tether.service");
  const report = await lab.waitFor("the timers", async () => (await reports())[before]);
  return (JSON.parse(report) as { timers: MostFrequent }).timers;
}
