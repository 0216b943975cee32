// A spool in a process of its own, for a test that kills it: comes up, says "ready", and does one random thing after
// another until then. What it must answer for it says on stdout, a line each, as soon as that is so:
//   in PATH          queued, by the hook or by `add`: must not get lost from now on
//   sending T PATH   about to be reported as arrived: may be gone from target T from now on
//   sent T PATH      reported as arrived: must not wait for T any more
//   dropping PATH    may be gone from now on

import { writeSync } from "node:fs";
import path from "node:path";
import { openSpool } from "../../src/uploads/spool.js";
import { createLinkRoots } from "./link-roots.js";
import { silentLog } from "./silent-log.js";
import { leaveIncoming, storePath } from "./store-paths.js";

const [dir = "", round = ""] = process.argv.slice(2);
const targets = ["pi", "nas"];
const say = (line: string): void => void writeSync(1, `${line}\n`);
const chance = (probability: number): boolean => Math.random() < probability;

const roots = createLinkRoots(path.join(dir, "roots"));
const spool = await openSpool({ dir, log: silentLog, targets, roots, warn: () => undefined });
say("ready");

for (let number = 0; ; number += 1) {
  const fresh = [0, 1].map((output) => storePath(`round-${round}-${number}-${output}`));
  if (chance(0.5)) {
    leaveIncoming(dir, fresh);
    for (const one of fresh) say(`in ${one}`);
  } else {
    await spool.add(fresh);
    for (const one of fresh) say(`in ${one}`);
  }
  if (chance(0.5)) await spool.takeIn();
  const some = spool
    .list()
    .map((entry) => entry.path)
    .filter(() => chance(0.2));
  for (const target of targets.filter(() => chance(0.7))) {
    const due = some.filter((one) =>
      spool.list().some((entry) => entry.path === one && target in entry.targets),
    );
    for (const one of due) say(`sending ${target} ${one}`);
    await spool.arrived(target, due);
    for (const one of due) say(`sent ${target} ${one}`);
  }
  const failure = { code: "no-room", text: "there is no room", permanent: chance(0.5), notBefore: null };
  await spool.failed("pi", some, failure);
  if (chance(0.2)) await spool.retry("all");
  const [last] = spool.list().slice(-1);
  if (chance(0.1) && last !== undefined) {
    say(`dropping ${last.path}`);
    await spool.drop([last.path]);
  }
}
