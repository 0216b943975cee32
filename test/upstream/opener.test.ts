import { PassThrough, type Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { createOpener } from "../../src/upstream/opener.js";
import { fakeDaemon } from "../support/fake-daemon.js";

describe("createOpener", () => {
  it("opens one after another, lookups first", async () => {
    const daemon = fakeDaemon(() => null);
    const order: string[] = [];
    const opener = createOpener(async () => {
      await sleep(5);
      return daemon.openDaemon();
    }, 1000);
    const open = (kind: "lookup" | "nar", name: string): Promise<unknown> =>
      opener.open(kind).then(() => order.push(name));
    await Promise.all([
      open("nar", "nar 1"),
      open("nar", "nar 2"),
      open("nar", "nar 3"),
      open("lookup", "lookup"),
    ]);
    expect(order).toEqual(["nar 1", "lookup", "nar 2", "nar 3"]);
  });

  it("lets nobody wait again for what has just not come, and destroys what comes too late", async () => {
    const late = new PassThrough();
    let calls = 0;
    const opener = createOpener(async (): Promise<Duplex> => {
      calls += 1;
      await sleep(80);
      return late;
    }, 20);
    const results = await Promise.allSettled([opener.open("nar"), opener.open("nar"), opener.open("lookup")]);
    for (const result of results) expect(result).toMatchObject({ reason: { code: "timeout" } });
    expect(calls).toBe(1);
    await sleep(120);
    expect(late.destroyed).toBe(true);
  });

  it("goes on after a refusal, and follows a signal", async () => {
    const daemon = fakeDaemon(() => null);
    let refuse = true;
    const opener = createOpener(async () => {
      if (refuse) throw new Error("refused");
      return daemon.openDaemon();
    }, 1000);
    await expect(opener.open("nar")).rejects.toThrow("refused");
    refuse = false;
    await expect(opener.open("nar", AbortSignal.abort(new Error("gone")))).rejects.toThrow("gone");
    expect((await opener.open("nar")).info.nixVersion).toBe("2.8.0");
  });

  it("calls everything off when it is closed", async () => {
    const opener = createOpener(() => new Promise(() => undefined), 1000);
    const waiting = [opener.open("nar"), opener.open("lookup")];
    opener.close();
    for (const one of waiting) await expect(one).rejects.toMatchObject({ code: "closed" });
    await expect(opener.open("nar")).rejects.toMatchObject({ code: "closed" });
  });
});
