// Runs a discovery as a program of its own, so that a test can put it into a network namespace. Usage: node
// discovery-runner.js [loopback]. Commands come as JSON lines on stdin; answers, news and log entries go out
// as JSON lines on stdout. The end of stdin closes the discovery, and with nothing left open the program
// ends.

import { createInterface } from "node:readline";

import pino from "pino";

import { createDiscovery, type LookupTarget } from "../../src/sources/discovery.js";

/** What the runner understands; `id` comes back with the answer. */
export type Command =
  | { readonly id: number; readonly op: "lookup"; readonly target: LookupTarget }
  | { readonly id: number; readonly op: "watch"; readonly target: LookupTarget }
  | { readonly id: number; readonly op: "refresh"; readonly force: boolean };

const print = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
const discovery = createDiscovery({
  log: pino({ level: "debug" }, { write: (line: string) => print({ log: JSON.parse(line) as unknown }) }),
  includeLoopback: process.argv[2] === "loopback",
});

async function obey(command: Command): Promise<void> {
  const started = performance.now();
  switch (command.op) {
    case "lookup": {
      const result = await discovery.lookup(command.target, new AbortController().signal);
      print({ id: command.id, ...result, ms: performance.now() - started });
      return;
    }
    case "watch":
      discovery.watch(command.target, (news) => print({ news }));
      break;
    case "refresh":
      discovery.refresh({ force: command.force });
  }
  print({ id: command.id });
}

createInterface({ input: process.stdin })
  .on("line", (line) => void obey(JSON.parse(line) as Command))
  .on("close", () => void discovery.close());
