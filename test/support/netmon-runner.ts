// Runs the network watch as a program of its own, so that a test can put it into a network namespace.
// Usage: node netmon-runner.js BUS-ADDRESS [names]. Prints one JSON object a line for every event and log entry.
// A line `done` on stdin answers the last sleep, `state` prints what is known; the end of stdin closes the watch.

import { createInterface } from "node:readline";
import pino from "pino";
import { startNetmon } from "../../src/sources/netmon.js";

const print = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
let done = (): void => undefined;

const log = pino(
  { level: "debug" },
  { write: (line: string) => print({ log: JSON.parse(line) as unknown }) },
);
const netmon = startNetmon({
  log,
  busAddress: process.argv[2] ?? "",
  names: process.argv.includes("names"),
  onEvent(event) {
    if (event.type === "sleep") done = event.done;
    print({ ...event, at: Date.now() });
  },
});
print({ type: "started", pid: process.pid, watching: netmon.watching, state: netmon.current() });

createInterface({ input: process.stdin })
  .on("line", (line) => {
    if (line === "done") done();
    else print({ type: "state", watching: netmon.watching, state: netmon.current() });
  })
  .on("close", () => {
    void netmon.close().then(() => print({ type: "closed" }));
  });
