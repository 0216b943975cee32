// Loaded into our daemon before it (`node --import`): joins the control group that it is told, and watches for how long the
// event loop does not turn. What it saw since the last time it writes as a line of JSON at each SIGUSR2.

import dgram from "node:dgram";
import { appendFileSync, openSync, readSync, writeFileSync } from "node:fs";
import process from "node:process";
import { setInterval } from "node:timers";

/** What was seen since the last report. */
export interface Seen {
  /** The longest turn of the loop, in milliseconds of the main thread's CPU time: what a quota takes is not in it. */
  readonly cpuMs: number;
  /** The longest turn in milliseconds of the clock. */
  readonly wallMs: number;
  /** Bytes sent in datagrams. */
  readonly datagramBytes: number;
}

const everyMs = 10;
const { BENCH_REPORT: report, BENCH_GROUP: group, BENCH_TURNS: turns } = process.env;

let [cpuMs, wallMs, datagramBytes] = [0, 0, 0];

if (group !== undefined) writeFileSync(`${group}/cgroup.procs`, String(process.pid));

if (turns !== undefined) {
  const stat = openSync(`/proc/self/task/${process.pid}/schedstat`, "r");
  const buffer = Buffer.alloc(64);
  const cpuNow = (): number =>
    parseInt(buffer.toString("latin1", 0, readSync(stat, buffer, 0, 64, 0)), 10) / 1e6;
  let [cpuBefore, wallBefore] = [cpuNow(), performance.now()];
  setInterval(() => {
    const [cpu, wall] = [cpuNow(), performance.now()];
    cpuMs = Math.max(cpuMs, cpu - cpuBefore);
    wallMs = Math.max(wallMs, wall - wallBefore - everyMs);
    [cpuBefore, wallBefore] = [cpu, wall];
  }, everyMs).unref();
}

const { send } = dgram.Socket.prototype;
dgram.Socket.prototype.send = function (this: dgram.Socket, ...args: unknown[]): void {
  const [message] = args;
  if (message instanceof Uint8Array) datagramBytes += message.length;
  Reflect.apply(send, this, args);
};

process.on("SIGUSR2", () => {
  const seen: Seen = { cpuMs, wallMs, datagramBytes };
  [cpuMs, wallMs, datagramBytes] = [0, 0, 0];
  if (report !== undefined) appendFileSync(report, `${JSON.stringify(seen)}\n`);
});
