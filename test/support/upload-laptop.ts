// A laptop that uploads: a store in which paths are made, a home in which the daemon runs, and what a test asks both.

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { askDaemon } from "../../src/control/client.js";
import type { ControlReply, ControlRequest, QueueItem, UploadsStatus } from "../../src/control/messages.js";
import { cacheTable, type DaemonHome } from "./daemon.js";
import type { DaemonFixture } from "./daemon-fixture.js";
import { eventually } from "./eventually.js";
import { makeStore, type NixStore } from "./nix-store.js";
import type { Sshd } from "./sshd.js";

export interface UploadLaptop {
  readonly store: NixStore;
  readonly home: DaemonHome;
  readonly spool: string;
  /** Has the daemon upload to `pi`, which is this sshd with these settings; `uploads` is the rest of that table. */
  configure(sshd: Sshd, settings?: Readonly<Record<string, unknown>>, uploads?: string): Promise<void>;
  ask(request: ControlRequest): Promise<ControlReply>;
  /** The queue after the request; rejects where the daemon refuses. */
  queue(request?: ControlRequest): Promise<QueueItem[]>;
  uploads(): Promise<UploadsStatus>;
  /** Adds files whose content is their name. */
  addFiles(...names: string[]): Promise<string[]>;
  /** Waits until nothing is in the queue. */
  untilEmpty(ms?: number): Promise<void>;
  /** Waits until the daemon answers. */
  untilUp(): Promise<void>;
  /** The links that hold paths. */
  roots(): Promise<string[]>;
  dispose(): Promise<void>;
}

export interface UploadLaptopOptions {
  /** By default a new one, which goes with the laptop. */
  readonly store?: NixStore;
  /** Added to the daemon's environment. */
  readonly env?: NodeJS.ProcessEnv;
  /** Whose home it is; by default this process's user's. */
  readonly uid?: number;
}

export async function makeUploadLaptop(
  fixture: DaemonFixture,
  options: UploadLaptopOptions = {},
): Promise<UploadLaptop> {
  const store = options.store ?? (await makeStore());
  const home = await fixture.home({
    ...(options.uid === undefined ? {} : { uid: options.uid }),
    env: {
      NIX_REMOTE: store.env["NIX_REMOTE"],
      NIX_CONF_DIR: store.env["NIX_CONF_DIR"],
      NIX_USER_CONF_FILES: "",
      // Where the roots are: Nix itself finds it by the store's URL.
      NIX_STATE_DIR: join(store.dir, "root/nix/var/nix"),
      ...options.env,
    },
  });
  const spool = join(home.dir, "state/nix-tether/spool");
  const ask = (request: ControlRequest): Promise<ControlReply> =>
    askDaemon(join(home.runtimeDir, "control.sock"), request, { timeoutMs: 30_000 });
  const queue = async (request: ControlRequest = { command: "queue" }): Promise<QueueItem[]> => {
    const reply = await ask(request);
    if (!reply.ok) throw new Error(reply.message);
    return reply.queue ?? [];
  };
  return {
    store,
    home,
    spool,
    configure: (sshd, settings = {}, uploads = "") =>
      home.configure(
        `${cacheTable("pi", fixture.cache(sshd, settings))}\n[uploads]\nto = ["pi"]\n${uploads}\n`,
      ),
    ask,
    queue,
    uploads: async () => {
      const reply = await ask({ command: "status" });
      if (!reply.ok) throw new Error(reply.message);
      return reply.status.uploads;
    },
    // One after the other: a new store takes no two at once.
    addFiles: async (...names) => {
      const paths: string[] = [];
      for (const name of names) paths.push(await store.addFile(name, name, { references: [] }));
      return paths;
    },
    untilEmpty: async (ms = 20_000) => {
      let left: QueueItem[] = [];
      const isEmpty = async (): Promise<boolean> => {
        left = await queue();
        return left.length === 0;
      };
      await eventually("the queue is empty", isEmpty, ms).catch((error: unknown) => {
        throw new Error(`${String(error)}\n${JSON.stringify(left, null, 1)}\n${home.said().slice(-3_000)}`);
      });
    },
    untilUp: () =>
      eventually(
        "the daemon answers",
        () =>
          queue().then(
            () => true,
            () => false,
          ),
        30_000,
      ),
    roots: () => readdir(join(spool, "roots")),
    dispose: async () => {
      await home.dispose();
      if (options.store === undefined) await store.dispose();
    },
  };
}

/** That the store has these paths, with the content that it says. */
export async function expectArrived(store: NixStore, paths: readonly string[]): Promise<void> {
  await store.run("nix-store", "--verify-path", ...paths);
}

/** Those of the paths that the store has. */
export async function validIn(store: NixStore, paths: readonly string[]): Promise<Set<string>> {
  // It fails where one is not.
  const ask = 'nix-store --check-validity --print-invalid "$@" || true';
  const invalid = (await store.run("bash", "-c", ask, "bash", ...paths)).split("\n");
  return new Set(paths.filter((path) => !invalid.includes(path)));
}
