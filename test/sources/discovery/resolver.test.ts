import { describe, expect, it } from "vitest";

import { createResolver, MAX_HANGING, type SystemLookup } from "../../../src/sources/discovery/resolver.js";

const never: SystemLookup = () => new Promise(() => undefined);
const calm = (): AbortSignal => new AbortController().signal;

describe("createResolver", () => {
  it("asks the system's resolver for every address", async () => {
    expect(await createResolver().resolve("localhost", calm())).toContainEqual({
      address: "127.0.0.1",
      family: 4,
    });
  });

  it("rejects with the resolver's error", async () => {
    const failing: SystemLookup = async () => {
      throw Object.assign(new Error("getaddrinfo ENOTFOUND pi"), { code: "ENOTFOUND" });
    };
    await expect(createResolver({ lookup: failing }).resolve("pi", calm())).rejects.toMatchObject({
      code: "ENOTFOUND",
    });
  });

  it("does not wait longer than its deadline for a resolver that hangs", async () => {
    await expect(
      createResolver({ lookup: never, deadlineMs: 20 }).resolve("pi", calm()),
    ).rejects.toMatchObject({ code: "timeout" });
  });

  it("rejects with the reason when aborted, before or meanwhile", async () => {
    const { resolve } = createResolver({ lookup: never });
    await expect(resolve("pi", AbortSignal.abort(new Error("no more")))).rejects.toThrow("no more");
    const abort = new AbortController();
    const answer = resolve("pi", abort.signal);
    abort.abort(new Error("enough"));
    await expect(answer).rejects.toThrow("enough");
  });

  it("shares a question that hangs instead of asking again, and asks afresh after the answer", async () => {
    const asked: string[] = [];
    let answer: (found: { address: string; family: number }[]) => void = () => undefined;
    const lookup: SystemLookup = (name) => {
      asked.push(name);
      return new Promise((settle) => (answer = settle));
    };
    const { resolve } = createResolver({ lookup, deadlineMs: 20 });
    await expect(resolve("pi", calm())).rejects.toMatchObject({ code: "timeout" });
    const second = resolve("pi", calm());
    expect(asked).toEqual(["pi"]);
    answer([{ address: "fd00::1", family: 6 }]);
    expect(await second).toEqual([{ address: "fd00::1", family: 6 }]);
    void resolve("pi", calm()).catch(() => undefined);
    expect(asked).toEqual(["pi", "pi"]);
  });

  it("asks anew in another network, where the old one's name server will never answer", async () => {
    const answers: ((found: { address: string; family: number }[]) => void)[] = [];
    const lookup: SystemLookup = () => new Promise((settle) => answers.push(settle));
    const { resolve, networkChanged } = createResolver({ lookup, deadlineMs: 20 });
    await expect(resolve("pi", calm())).rejects.toMatchObject({ code: "timeout" });
    networkChanged();
    const second = resolve("pi", calm());
    expect(answers).toHaveLength(2);
    answers[1]?.([{ address: "10.0.0.1", family: 4 }]);
    expect(await second).toEqual([{ address: "10.0.0.1", family: 4 }]);
    // The late answer of the old network is not taken for the next question's.
    const third = resolve("pi", calm());
    answers[0]?.([{ address: "10.9.9.9", family: 4 }]);
    answers[2]?.([{ address: "10.0.0.2", family: 4 }]);
    expect(await third).toEqual([{ address: "10.0.0.2", family: 4 }]);
  });

  it("asks anew while it waits when the name servers are told only then", async () => {
    let servers = "of the café";
    let asked = 0;
    const lookup: SystemLookup = () => {
      asked += 1;
      const isHome = servers === "of home";
      return isHome ? Promise.resolve([{ address: "10.0.0.1", family: 4 }]) : new Promise(() => undefined);
    };
    const { resolve } = createResolver({ lookup, deadlineMs: 2_000, servers: () => servers });
    const answer = resolve("pi", calm());
    setTimeout(() => (servers = "of home"), 50);
    expect(await answer).toEqual([{ address: "10.0.0.1", family: 4 }]);
    expect(asked).toBe(2);
  });

  it("leaves a worker thread for others, however often the network changes", async () => {
    let asked = 0;
    const lookup: SystemLookup = () => {
      asked += 1;
      return new Promise(() => undefined);
    };
    const { resolve, networkChanged } = createResolver({ lookup, deadlineMs: 5 });
    for (let n = 0; n < 6; n += 1) {
      await expect(resolve("pi", calm())).rejects.toMatchObject({ code: "timeout" });
      networkChanged();
    }
    expect(asked).toBe(MAX_HANGING);
  });
});
