// Runs a gateway for the cache `pi` as a program of its own, on the listening socket that is its file descriptor 3.
// Usage: node gateway-runner.js PORT. Prints a line when it listens; the end of stdin ends it.

import { pino } from "pino";

import { openGateway } from "../../src/gateway/gateway.js";

const gateway = await openGateway({
  caches: [{ name: "pi", priority: 30 }],
  listen: { fd: 3, port: Number(process.argv[2]) },
  log: pino({ level: "silent" }),
});
process.stdout.write(`listens on ${gateway.port}\n`);
process.stdin.resume().on("end", () => void gateway.close(0));
