import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import type { RemoteFacts, RemoteFiles, RemoteHead } from "../../src/link/link.js";
import { SftpError } from "../../src/link/sftp-channel.js";
import { opcode } from "../../src/protocol/operations.js";
import { encodeStringList } from "../../src/protocol/writer.js";
import {
  createAbsence,
  defaultAbsenceTimes,
  type Absence,
  type AbsenceTimes,
} from "../../src/upstream/absence.js";
import { DaemonClient } from "../../src/upstream/daemon-client.js";
import { eventually } from "../support/eventually.js";
import { fakeDaemon, last, type FakeDaemon } from "../support/fake-daemon.js";
import { inventPath } from "../support/nix-export.js";
import { silentLog } from "../support/silent-log.js";

const numberedPath = (number: number): string => inventPath(String(number), "absence");
const numberedHash = (number: number): string => numberedPath(number).slice(11, 43);

/** `length` bytes that took so long. */
const headOf = (length: number, tookMs: number): RemoteHead => ({ bytes: Buffer.alloc(length), tookMs });

/** A machine whose database a test writes to. */
interface Machine {
  /** Numbers of the paths that it has. */
  paths: number[];
  /** Of the database, in milliseconds since the epoch. */
  writtenAt: number;
  readonly size: number;
  readonly clock: number;
  metered: boolean | null;
  /** Its nix-daemon gives no list. */
  silent: boolean;
  opened: number;
  closed: number;
  looks: number;
  readonly daemon: FakeDaemon;
  readonly files: () => Promise<RemoteFiles>;
}

function machineWith(options: { paths: number[]; size?: number; clock?: number }): Machine {
  const daemon = fakeDaemon(({ operation }) => {
    if (operation !== opcode.queryAllValidPaths) throw new Error(`unexpected operation ${operation}`);
    if (machine.silent) return null;
    return Buffer.concat([last, encodeStringList(machine.paths.map(numberedPath))]);
  });
  const facts = (size: number, modifiedAt: number): RemoteFacts => ({ kind: "file", size, modifiedAt });
  const stat = async (path: string): Promise<RemoteFacts> => {
    if (path === "/proc/self") return facts(0, machine.clock);
    if (path !== "/db.sqlite") throw new SftpError("missing", "no such file");
    machine.looks += 1;
    return facts(machine.size, machine.writtenAt);
  };
  const machine: Machine = {
    writtenAt: 1_000,
    size: 10_000,
    clock: 19_000,
    metered: null,
    silent: false,
    ...options,
    opened: 0,
    closed: 0,
    looks: 0,
    daemon,
    files: async () => {
      machine.opened += 1;
      const head = async (_path: string, length: number): Promise<RemoteHead> => headOf(length, 1);
      return { stat, isLink: async () => false, head, close: () => (machine.closed += 1) };
    },
  };
  return machine;
}

const opened: Absence[] = [];
afterEach(() => {
  for (const one of opened.splice(0)) one.close();
});

function absenceOf(machine: Machine, times: Partial<AbsenceTimes> = {}, files = machine.files): Absence {
  const absence = createAbsence({
    database: "/db.sqlite",
    openFiles: files,
    isMetered: async () => machine.metered,
    openDaemon: async () => DaemonClient.connect(await machine.daemon.openDaemon(), { ms: 5_000 }),
    times: { ...defaultAbsenceTimes, burstMs: 60_000, trustMs: 60_000, lookMs: 0, ...times },
    log: silentLog,
  });
  opened.push(absence);
  return absence;
}

function miss(absence: Absence, times: number): void {
  for (let n = 0; n < times; n += 1) {
    absence.isAbsent(numberedHash(900));
    absence.missed();
  }
}

const known = (absence: Absence, number: number): Promise<void> =>
  eventually(`${number} is known not to be there`, () => absence.isAbsent(numberedHash(number)));

describe("what is known not to be there", () => {
  it("is nothing before many questions in vain, and then all that is not on the list", async () => {
    const machine = machineWith({ paths: [1, 2] });
    const absence = absenceOf(machine);
    miss(absence, 49);
    await sleep(20);
    expect(machine.opened).toBe(0);
    miss(absence, 1);
    await known(absence, 3);
    expect(absence.isAbsent(numberedHash(1))).toBe(false);
    expect(absence.isAbsent(numberedHash(2))).toBe(false);
    const [connection, ...others] = machine.daemon.connections;
    expect(others).toEqual([]);
    await eventually("its connection is closed", () => connection?.stream.destroyed === true);
  });

  it("is nothing where questions in vain come one by one", async () => {
    const machine = machineWith({ paths: [] });
    const absence = absenceOf(machine, { burstMs: 1 });
    for (let n = 0; n < 60; n += 1) {
      miss(absence, 1);
      await sleep(3);
    }
    expect(machine.opened).toBe(0);
  });

  it("is nothing any more once the database was written, until it is listed again", async () => {
    const machine = machineWith({ paths: [1] });
    const absence = absenceOf(machine, { restMs: 0 });
    miss(absence, 50);
    await known(absence, 2);
    machine.paths = [1, 2];
    machine.writtenAt = 2_000;
    await eventually("the list is given up", () => !absence.isAbsent(numberedHash(3)));
    expect(machine.closed).toBe(1);
    await eventually("it is listed again", () => {
      miss(absence, 50);
      return absence.isAbsent(numberedHash(3));
    });
    expect(absence.isAbsent(numberedHash(2))).toBe(false);
  });

  it("is nothing as long as nobody has looked of late", async () => {
    const machine = machineWith({ paths: [1] });
    const absence = absenceOf(machine, { trustMs: 100, lookMs: 100 });
    miss(absence, 50);
    await known(absence, 2);
    await sleep(150);
    const { looks } = machine;
    expect(absence.isAbsent(numberedHash(2))).toBe(false);
    await known(absence, 2);
    expect(machine.looks).toBe(looks + 1);
    expect(machine.opened).toBe(1);
  });

  it("is nothing where the database was written just now: another write might not be seen", async () => {
    const machine = machineWith({ paths: [], clock: 2_000 });
    const absence = absenceOf(machine);
    miss(absence, 50);
    await eventually("it has looked", () => machine.closed === 1);
    expect(machine.daemon.connections).toHaveLength(0);
    expect(absence.isAbsent(numberedHash(1))).toBe(false);
  });

  it("is nothing where the database is written while it is listed", async () => {
    const machine = machineWith({ paths: [1] });
    const absence = absenceOf(machine, {}, async () => {
      const files = await machine.files();
      const head: typeof files.head = (path, length) => (
        (machine.writtenAt = 5_000),
        files.head(path, length)
      );
      return { ...files, head };
    });
    miss(absence, 50);
    await eventually("it is given up", () => machine.closed === 1);
    expect(machine.daemon.connections).toHaveLength(1);
    expect(absence.isAbsent(numberedHash(2))).toBe(false);
  });

  it.each([
    // Its speed shows in what is read, however long a look takes.
    { what: "the link is slow", size: 40_000_000, times: {}, statMs: 200, headMs: 100 },
    {
      what: "a look takes as long as it may be trusted",
      size: 10_000,
      times: { trustMs: 150 },
      statMs: 100,
      headMs: 0,
    },
  ])("is nothing while $what, and is tried again", async ({ size, times, statMs, headMs }) => {
    const machine = machineWith({ paths: [1], size });
    let slow = true;
    const absence = absenceOf(machine, { slowMs: 50, ...times }, async () => {
      const files = await machine.files();
      const stat: typeof files.stat = async (path) => {
        if (slow) await sleep(statMs);
        return files.stat(path);
      };
      const head: typeof files.head = async (path, length) => {
        if (!slow) return files.head(path, length);
        await sleep(headMs);
        return headOf(length, headMs);
      };
      return { ...files, stat, head };
    });
    miss(absence, 50);
    await eventually("it is given up", () => machine.closed === 1);
    expect(machine.daemon.connections).toHaveLength(0);
    slow = false;
    await eventually("it is listed when it is not", () => {
      miss(absence, 50);
      return absence.isAbsent(numberedHash(2));
    });
  });

  it("is asked for again long after a list that did not come in time", async () => {
    const machine = machineWith({ paths: [1] });
    machine.silent = true;
    const absence = absenceOf(machine, { restMs: 0, listLimitMs: 100 });
    miss(absence, 50);
    await eventually("it is given up", () => machine.closed === 1);
    await sleep(150);
    miss(absence, 100);
    await sleep(50);
    expect(machine.opened).toBe(1);
  });

  it("is nothing for good where the database is a link: its write-ahead log lies elsewhere", async () => {
    const machine = machineWith({ paths: [1] });
    const absence = absenceOf(machine, { restMs: 0 }, async () => ({
      ...(await machine.files()),
      isLink: async () => true,
    }));
    miss(absence, 50);
    await eventually("it is given up", () => machine.closed === 1);
    await sleep(20);
    miss(absence, 100);
    await sleep(20);
    expect(machine.opened).toBe(1);
    expect(machine.daemon.connections).toHaveLength(0);
  });

  it("is nothing where the list would have to be paid for", async () => {
    const machine = machineWith({ paths: [1] });
    machine.metered = true;
    const absence = absenceOf(machine);
    miss(absence, 50);
    await eventually("it is given up", () => machine.closed === 1);
    expect(machine.daemon.connections).toHaveLength(0);
    expect(absence.isAbsent(numberedHash(2))).toBe(false);
  });

  it("is nothing for good where another database, or none, is seen", async () => {
    const small = machineWith({ paths: Array.from({ length: 100 }, (_, i) => i) });
    const hidden = machineWith({ paths: [1] });
    const refusing = async (): Promise<RemoteFiles> => {
      const files = await hidden.files();
      return { ...files, stat: async () => Promise.reject(new SftpError("forbidden", "no")) };
    };
    for (const [machine, files] of [[small, small.files] as const, [hidden, refusing] as const]) {
      const absence = absenceOf(machine, { restMs: 0 }, files);
      miss(absence, 50);
      await eventually("it is given up", () => machine.closed === 1);
      await sleep(20);
      miss(absence, 100);
      await sleep(20);
      expect(machine.opened).toBe(1);
      expect(absence.isAbsent(numberedHash(500))).toBe(false);
    }
  });

  it("is listed again where a path was found that is not on the list, and the database was written", async () => {
    const machine = machineWith({ paths: [1] });
    const absence = absenceOf(machine, { restMs: 0 });
    miss(absence, 50);
    await known(absence, 2);
    machine.paths = [1, 2];
    machine.writtenAt = 2_000;
    absence.found([numberedHash(2)]);
    expect(absence.isAbsent(numberedHash(3))).toBe(false);
    await eventually("it is listed again", () => {
      miss(absence, 50);
      return absence.isAbsent(numberedHash(3));
    });
    expect(absence.isAbsent(numberedHash(2))).toBe(false);
  });

  it("is nothing for good where such a path was found, and the database was not written", async () => {
    const machine = machineWith({ paths: [1] });
    const absence = absenceOf(machine, { restMs: 0, idleMs: 200, trustMs: 100 });
    miss(absence, 50);
    await known(absence, 2);
    absence.found([numberedHash(1)]);
    await known(absence, 2);
    // Nobody asks for a while: what was seen counts all the same.
    await eventually("its files are left alone", () => machine.closed === 1);
    absence.found([numberedHash(2)]);
    miss(absence, 50);
    await eventually("it is given up", () => machine.closed === 2);
    expect(absence.isAbsent(numberedHash(3))).toBe(false);
    await sleep(20);
    miss(absence, 100);
    await sleep(20);
    expect(machine.opened).toBe(2);
    expect(machine.daemon.connections).toHaveLength(1);
  });

  it("costs the machine nothing where nobody asks, and one look when they ask again", async () => {
    const machine = machineWith({ paths: [1] });
    const absence = absenceOf(machine, { idleMs: 50, trustMs: 20 });
    miss(absence, 50);
    await known(absence, 2);
    await eventually("its files are left alone", () => machine.closed === 1);
    miss(absence, 50);
    await known(absence, 2);
    expect(machine.daemon.connections).toHaveLength(1);
    absence.close();
    expect(machine.closed).toBe(2);
  });
});
