import { expect, onTestFinished, test } from "vitest";
import { fold, withRetry, type Entry } from "../../src/uploads/entry.js";
import type { NixTools } from "../../src/nix/nix-tools.js";
import type { Spool } from "../../src/uploads/spool.js";
import { createUploader, type Uploader } from "../../src/uploads/uploader.js";
import { silentLog } from "../support/silent-log.js";
import { storePath } from "../support/store-paths.js";

const waiting = (name: string): Entry =>
  fold(undefined, { path: storePath(name), deriver: null, since: 0 }, ["pi"]);
const asked = (name: string): Entry => withRetry(waiting(name), { now: true });

/** An uploader of these; `sent` is what it began to send, batch by batch. Nix never answers. */
function uploaderOf(entries: readonly Entry[]): { uploader: Uploader; sent: string[][]; start: () => void } {
  const sent: string[][] = [];
  const nix = {
    invalid: (paths: readonly string[], signal?: AbortSignal) => {
      sent.push([...paths]);
      return new Promise<string[]>((_, reject) =>
        signal?.addEventListener("abort", () => reject(signal.reason as Error)),
      );
    },
  } as NixTools;
  const uploader = createUploader({
    name: "pi",
    spool: { list: () => entries } as Spool,
    nix,
    env: {},
    stage: "/nonexistent",
    keyFile: "/nonexistent/key",
    derivations: false,
    substitute: false,
    log: silentLog,
    warn: () => undefined,
  });
  onTestFinished(() => uploader.stop());
  const target = {
    socket: "/nonexistent",
    trusted: null,
    wire: () => 0,
    validPaths: async () => new Set<string>(),
    fetch: async () => new Set<string>(),
  };
  return { uploader, sent, start: () => uploader.start(target) };
}

const state = (uploader: Uploader) => expect.poll(() => uploader.progress().state, { interval: 5 });

test("what is held back in the moment in which it was to begin is not begun", async () => {
  const { uploader, sent, start } = uploaderOf([waiting("a")]);
  start();
  uploader.hold("on a metered connection");
  await state(uploader).toBe("held");
  expect(uploader.progress().reason).toBe("on a metered connection");
  expect(sent).toEqual([]);
});

test("a batch under way is stopped, and begun again without what is held back", async () => {
  const { uploader, sent, start } = uploaderOf([waiting("a"), asked("b")]);
  start();
  await state(uploader).toBe("copying");
  uploader.hold("on a low battery");
  await expect.poll(() => sent).toEqual([[storePath("a"), storePath("b")], [storePath("b")]]);
  // Nothing in it is held back.
  uploader.hold("on a lower battery");
  expect(uploader.progress().state).toBe("copying");
  expect(sent).toHaveLength(2);
});

test("goes on when nothing holds it back any more, and has nothing to say of that where nothing waits", async () => {
  const { uploader, sent, start } = uploaderOf([waiting("a")]);
  uploader.hold("on a metered connection");
  start();
  await state(uploader).toBe("held");
  uploader.hold(null);
  await expect.poll(() => sent).toEqual([[storePath("a")]]);
  const idle = uploaderOf([]);
  idle.uploader.hold("on a metered connection");
  idle.start();
  await state(idle.uploader).toBe("resting");
});
