// What every test of the SSH link needs: a home of its own, a key, an agent, a store with its daemon, and `connect`,
// which goes the product's way from `ssh -G` to a link.

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import type { Endpoint, SshLink } from "../../src/link/link.js";
import type { LoginArgs } from "../../src/link/login.js";
import { readSshSettings, type LinkConfig } from "../../src/link/ssh-config.js";
import { connectLink } from "../../src/link/ssh-link.js";
import type { Handshake } from "../../src/link/transport.js";
import { handshakeDaemon } from "../../src/upstream/handshake-daemon.js";
import { makeStore, type NixStore } from "./nix-store.js";
import {
  makeKey,
  startAgent,
  startSshd,
  type Sshd,
  type SshdOptions,
  type TestAgent,
  type TestKey,
} from "./sshd.js";

export interface ConnectOptions {
  readonly config?: Partial<LinkConfig>;
  /** Leaves port and known_hosts to ssh_config. */
  readonly bare?: boolean;
  /** Where to dial; default: the sshd's address. */
  readonly endpoints?: readonly Endpoint[];
  readonly env?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
  readonly handshake?: Handshake;
  readonly ciphersFor?: LoginArgs["ciphersFor"];
}

export interface LinkFixture {
  readonly dir: string;
  readonly key: TestKey;
  readonly agent: TestAgent;
  readonly store: NixStore;
  /** The socket of the store's daemon. */
  readonly daemonSocket: string;
  readonly knownHosts: string;
  /** What `connect` runs in. */
  readonly env: NodeJS.ProcessEnv;
  /** Starts an sshd that accepts `key` and whose sessions use the store; it ends with `endTest`. */
  sshd(options?: SshdOptions): Promise<Sshd>;
  /** Writes known_hosts; default content: the sshd's keys as `pi.test`. */
  know(...lines: string[]): Promise<void>;
  /** Writes ssh_config. It is read in place of the real one. */
  sshConfig(...lines: string[]): Promise<void>;
  /** Connects to `pi.test`, which is this sshd. The link ends with `endTest`. */
  connect(sshd: Pick<Sshd, "address" | "port">, options?: ConnectOptions): Promise<SshLink>;
  /** For `afterEach`: ends links and servers, and puts the agent, known_hosts and ssh_config back. */
  endTest(): Promise<void>;
  /** For `afterAll`. */
  dispose(): Promise<void>;
}

export const HOST = "pi.test";

export async function makeLinkFixture(): Promise<LinkFixture> {
  const dir = await mkdtemp(join(tmpdir(), "nix-tether-link-"));
  await mkdir(join(dir, "home"));
  await mkdir(join(dir, "bin"));
  const configFile = join(dir, "ssh_config");
  await writeFile(join(dir, "bin", "ssh"), `#!/bin/sh\nexec /usr/bin/ssh -F ${configFile} "$@"\n`, {
    mode: 0o755,
  });
  const key = await makeKey(dir, "user_key");
  const agent = await startAgent(join(dir, "agent.sock"));
  const store = await makeStore();
  const daemonSocket = await store.listen();
  const knownHosts = join(dir, "known_hosts");
  const log = pino({ level: "silent" });
  const links = new Set<SshLink>();
  const servers = new Set<Sshd>();
  const baseEnv: NodeJS.ProcessEnv = {
    PATH: `${join(dir, "bin")}:${process.env["PATH"] ?? ""}`,
    HOME: join(dir, "home"),
    XDG_RUNTIME_DIR: join(dir, "run"),
    SSH_AUTH_SOCK: agent.socket,
  };
  const reset = async (): Promise<void> => {
    await agent.unlock().catch(() => undefined);
    await agent.clear();
    await agent.add(key.file);
    await writeFile(configFile, "");
    await rm(knownHosts, { force: true });
  };
  await reset();

  return {
    dir,
    key,
    agent,
    store,
    daemonSocket,
    knownHosts,
    env: baseEnv,
    sshd: async (options = {}) => {
      const sshd = await startSshd({ authorizedKeys: [key.publicKey], env: store.env, ...options });
      servers.add(sshd);
      await writeFile(knownHosts, `${sshd.knownHostsLine(HOST)}\n`);
      return sshd;
    },
    know: (...lines) => writeFile(knownHosts, `${lines.join("\n")}\n`),
    sshConfig: (...lines) => writeFile(configFile, `${lines.join("\n")}\n`),
    connect: async (sshd, options = {}) => {
      const config: LinkConfig = {
        cache: "pi",
        host: HOST,
        ...(options.bare === true ? {} : { port: sshd.port, knownHosts: [knownHosts] }),
        transport: "auto",
        remoteSocket: daemonSocket,
        ...options.config,
      };
      const env = { ...baseEnv, ...options.env };
      const signal = options.signal ?? new AbortController().signal;
      const settings = await readSshSettings(config, { env, signal });
      const endpoints = options.endpoints ?? [{ address: sshd.address, family: 4 }];
      const handshake = options.handshake ?? handshakeDaemon;
      const { ciphersFor } = options;
      const link = await connectLink({
        config,
        settings,
        endpoints,
        signal,
        log,
        env,
        handshake,
        ...(ciphersFor === undefined ? {} : { ciphersFor }),
      });
      links.add(link);
      return link;
    },
    endTest: async () => {
      for (const link of links) link.close();
      links.clear();
      await Promise.all([...servers].map((sshd) => sshd.stop()));
      servers.clear();
      await reset();
    },
    dispose: async () => {
      await agent.stop();
      await store.dispose();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
