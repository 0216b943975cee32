// The chaos test: Nix builds and fetches on the laptop without a pause while things go wrong, drawn from a seed. Whatever
// happens, every command must end well and in time.

import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../../../src/util/errors.js";
import type { Lab } from "../lab.js";
import type { Tether } from "../tether.js";
import { deals, faults, type Deal, type Pace } from "./faults.js";
import { commandOf, fetch, forget, type Result } from "./fetching.js";
import { jobs, lastJob, quietJobs, type Attribute } from "./jobs.js";
import { Journal } from "./journal.js";
import { openSecondCache, retire, stock, type Stocked } from "./stock.js";

export interface ChaosOptions {
  readonly seed: string;
  /** How long faults are made, in milliseconds; measuring the quiet times and finishing come on top. */
  readonly durationMs: number;
  readonly pace: Pace;
  readonly echo: boolean;
}

export interface Verdict {
  /** What went wrong, with everything known about it; empty: all is well. */
  readonly failures: readonly string[];
  readonly faults: number;
  readonly commands: number;
  readonly fromPi: number;
  readonly fromSecond: number;
  readonly built: number;
  /** The longest that a command took beyond its quiet time, and that it took to list the cache again. Milliseconds. */
  readonly longestOverMs: number;
  readonly longestRecoveryMs: number;
  readonly journal: string;
}

/**
 * A command may take three times as long as in quiet (there are three at once on one link and few cores), and this
 * much longer. What it is made of: 8.5 s until a link that went silent is given up, 20 s that a NAR waits for the next
 * one, both once more for a second fault that comes in the middle.
 */
const graceMs = 55_000;
const boundMs = (quietMs: number): number => 3 * quietMs + graceMs;

/** After the last fault is over the cache must be in use again within this time: the longest pause between two tries. */
const recoveryMs = 45_000;
const workers = 3;
/** Enough to see a pattern. */
const mostFailures = 5;

/** Network bandwidth, so that the big paths take seconds and faults come in the middle of them. */
const bandwidth = "400mbit";

export async function runChaos(lab: Lab, tether: Tether, options: ChaosOptions): Promise<Verdict> {
  const run = new Run(lab, tether, options);
  await run.prepare();
  await run.rage();
  return run.verdict();
}

class Run {
  readonly #lab: Lab;
  readonly #tether: Tether;
  readonly #options: ChaosOptions;
  readonly #journal: Journal;
  readonly #quietMs = new Map<Attribute, number>();
  readonly #failures: string[] = [];
  /** Big ones whose paths could not be taken away yet. */
  readonly #ended: Stocked[] = [];
  #upcoming: Promise<Stocked>[] = [];
  #results: Result[] = [];
  #faults = 0;
  #longestOverMs = 0;
  #longestRecoveryMs = 0;
  #endAt = Infinity;

  constructor(lab: Lab, tether: Tether, options: ChaosOptions) {
    this.#lab = lab;
    this.#tether = tether;
    this.#options = options;
    this.#journal = new Journal(options.echo);
  }

  /** Opens the second cache and measures how long each kind of job takes when nothing is wrong. */
  async prepare(): Promise<void> {
    const { seed } = this.#options;
    await openSecondCache(this.#lab);
    await this.#lab.bandwidth("laptop", bandwidth);
    for (const quiet of quietJobs(seed)) {
      const job = await stock(this.#lab, quiet);
      const fetched = await this.#fetchInQuiet(job);
      // What is not reached is built: that is its quiet time as well.
      const built = await this.#fetchInQuiet(job, "--option substitute false");
      this.#quietMs.set(job.kind.attribute, Math.max(fetched.ms, built.ms));
      this.#journal.add(`quiet: ${job.kind.name}: ${seconds(fetched.ms)}, built ${seconds(built.ms)}`);
      await retire(this.#lab, job);
    }
  }

  async #fetchInQuiet(job: Stocked, options = ""): Promise<Result> {
    const result = await fetch(this.#lab, job, options);
    if (result.problem !== null)
      throw new Error(`${job.kind.name}, in quiet: ${result.problem}\n${result.log}`);
    await forget(this.#lab, job);
    return result;
  }

  async rage(): Promise<void> {
    this.#endAt = Date.now() + this.#options.durationMs;
    const coming = jobs(this.#options.seed);
    const refill = (): void => {
      // One after the other and ahead of time, so that stocking is no part of what is measured.
      const before = this.#upcoming.at(-1) ?? Promise.resolve();
      const job = coming.next().value;
      const next = before.then(() => stock(this.#lab, job));
      next.catch(() => undefined);
      this.#upcoming.push(next);
    };
    for (let ahead = 0; ahead < workers + 1; ahead += 1) refill();
    const parts = [this.#makeFaults(), ...Array.from({ length: workers }, () => this.#work(refill))];
    await Promise.all(parts.map((part) => part.catch(this.#breakOff)));
    await this.#recover("the end");
    await this.#checkDaemon();
  }

  /** It must be of use after all that, and must not have ended but by our hand. */
  async #checkDaemon(): Promise<void> {
    const isOfUse = async (): Promise<boolean> => {
      const job = await stock(this.#lab, lastJob(`${this.#options.seed}-${Date.now()}`));
      const result = await fetch(this.#lab, job);
      this.#journal.add(`at the end: ${result.problem ?? origins(result)}`);
      return result.problem === null && result.fromPi === job.closure.split("\n").length;
    };
    await this.#lab.waitFor("everything comes from the Pi again", isOfUse, recoveryMs).catch(this.#breakOff);
    const { stdout } = await this.#tether.shell(
      "journalctl --user -u nix-tether.service -o cat | grep -E 'Main process exited, code=(exited|dumped)' || true",
    );
    if (stdout !== "") await this.#fail(`the daemon ended by itself: ${stdout}`);
  }

  verdict(): Verdict {
    const sum = (count: (result: Result) => number): number =>
      this.#results.reduce((total, result) => total + count(result), 0);
    return {
      failures: this.#failures,
      faults: this.#faults,
      commands: this.#results.length,
      fromPi: sum((result) => result.fromPi),
      fromSecond: sum((result) => result.fromSecond),
      built: sum((result) => result.built),
      longestOverMs: this.#longestOverMs,
      longestRecoveryMs: this.#longestRecoveryMs,
      journal: this.#journal.text(),
    };
  }

  get #over(): boolean {
    return Date.now() >= this.#endAt || this.#failures.length >= mostFailures;
  }

  async #work(refill: () => void): Promise<void> {
    while (!this.#over) {
      const next = this.#upcoming.shift();
      refill();
      if (next === undefined) return;
      const job = await next;
      await this.#fetch(job);
      if (job.again && !this.#over) {
        await forget(this.#lab, job);
        await this.#fetch(job);
      }
      await this.#clearUp(job);
    }
  }

  async #fetch(job: Stocked): Promise<void> {
    const { kind, salt } = job;
    this.#journal.add(`job ${salt} (${kind.name}) begins`);
    const result = await fetch(this.#lab, job);
    const quietMs = this.#quietMs.get(kind.attribute) ?? 0;
    const overMs = Math.round(result.ms - quietMs);
    this.#results.push(result);
    this.#longestOverMs = Math.max(this.#longestOverMs, overMs);
    this.#journal.add(`job ${salt} ends after ${seconds(result.ms)}: ${origins(result)}`);
    const late =
      result.ms > boundMs(quietMs) ? `took ${seconds(result.ms)}, in quiet ${seconds(quietMs)}` : null;
    const problem = result.problem ?? late;
    if (problem !== null)
      await this.#fail(`job ${salt} (${kind.name}): ${problem}\n${commandOf(job)}\n${result.log}`);
  }

  /** Gigabytes of big paths would fill the machines, which are memory. */
  async #clearUp(job: Stocked): Promise<void> {
    if (job.kind.attribute !== "big" && job.kind.attribute !== "mixed") return;
    await forget(this.#lab, job);
    const ended = [...this.#ended.splice(0), job];
    for (const one of ended) if (!(await retire(this.#lab, one))) this.#ended.push(one);
  }

  async #makeFaults(): Promise<void> {
    for (const deal of deals(this.#options.seed, this.#options.pace)) {
      if (this.#over) return;
      const names = deal.faults.map(({ name }) => name).join(" and ");
      await Promise.all(deal.faults.map((one) => this.#makeFault(one)));
      if (deal.recover) await this.#recover(names);
      await sleep(deal.restMs);
    }
  }

  async #makeFault({ name, holdMs }: Deal["faults"][number]): Promise<void> {
    const fault = faults.find((one) => one.name === name);
    if (fault === undefined) throw new Error(`no fault ${name}`);
    this.#faults += 1;
    this.#journal.add(`FAULT ${name}, for ${seconds(holdMs)}`);
    await fault.begin(this.#lab);
    await sleep(holdMs);
    await fault.end(this.#lab);
    this.#journal.add(`FAULT ${name} is over`);
  }

  async #recover(after: string): Promise<void> {
    const begun = Date.now();
    try {
      await this.#tether.waitListed(["pi"], recoveryMs);
      const ms = Date.now() - begun;
      this.#longestRecoveryMs = Math.max(this.#longestRecoveryMs, ms);
      this.#journal.add(`listed again after ${seconds(ms)}`);
    } catch (error) {
      const status = await this.#tether.shell("nix-tether status --json", { mayFail: true });
      await this.#fail(
        `not listed within ${seconds(recoveryMs)} of ${after}: ${messageOf(error)}\n${status.stdout}`,
      );
    }
  }

  /** What should never happen: the test itself does not work. */
  readonly #breakOff = async (error: unknown): Promise<void> => {
    this.#endAt = 0;
    await this.#fail(`broken off: ${messageOf(error)}`);
  };

  async #fail(what: string): Promise<void> {
    this.#journal.add(`FAILURE ${what.split("\n", 1)[0]}`);
    const show = "journalctl --user -u nix-tether.service -n 120 --no-pager -o short-precise";
    const { stdout } = await this.#tether.shell(show, { mayFail: true });
    this.#failures.push(`${what}\n--- the daemon's log:\n${stdout}`);
  }
}

function origins({ fromPi, fromSecond, built }: Result): string {
  return `${fromPi} from the Pi, ${fromSecond} from the second cache, ${built} built`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
