// Opens channels on one SSH session: one after the other, a bounded number, and all of them ended when the link ends.

import type { Client, ClientChannel } from "ssh2";
import { delay } from "../util/abort.js";
import { TetherError, messageOf } from "../util/errors.js";
import { ChannelStream } from "./channel-stream.js";
import { SessionWindows } from "./channel-window.js";
import type { Transport } from "./link.js";

/** What `stdio` runs; a forced command that filters commands sees exactly this. */
export const STDIO_COMMAND = "nix-daemon --stdio";

// Each channel may hold SSH's window of 2 MiB in memory, and all together what `SessionWindows` has besides.
const MAX_CHANNELS = 64;
const OPEN_MS = 5_000;
const NUDGE_MS = 1_000;
// The backlog of Nix 2.8's socket is 5, and each connection there costs a fork before the next is taken.
const RETRY_PAUSES_MS = [10, 20, 40, 80, 160, 320];

/** The channels of one session. */
export class Channels {
  readonly #client: Client;
  readonly #remoteSocket: string;
  readonly #open = new Set<ChannelStream>();
  readonly #windows = new SessionWindows();
  #waiting = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #ended: Error | null = null;
  #proven = false;

  constructor(client: Client, remoteSocket: string) {
    this.#client = client;
    this.#remoteSocket = remoteSocket;
  }

  /**
   * A fresh stream to the remote nix-daemon. Opened one by one: an old nix-daemon's socket takes few at a time.
   * Rejects with `channel-limit` (64, or with `stdio` sshd's MaxSessions, by default 10), `channel-failed` (sshd would
   * not), `timeout`, or the reason for which the link has ended.
   */
  async open(transport: Transport): Promise<ChannelStream> {
    const stream = await this.#enter(
      () => this.#openPatiently(transport),
      (channel) => new ChannelStream(channel, this.#windows),
    );
    this.#proven = true;
    return stream;
  }

  /** See `SshLink.exec`. Rejects as `open` does, without its patience. */
  async exec(command: string): Promise<ChannelStream> {
    const stream = await this.#enter(
      () => this.#bounded(OPEN_MS, "a command", (done) => this.#client.exec(command, done)),
      (channel) => new ChannelStream(channel, this.#windows, { endsWithExit: true }),
    );
    stream.end();
    return stream;
  }

  /** See `SshLink.openTcp`. Beside the others: a server that does not answer must not keep the nix-daemon waiting. */
  async openTcp(host: string, port: number): Promise<ChannelStream> {
    const stream = await this.#enter(
      () =>
        this.#bounded(OPEN_MS, `${host} port ${port}`, (done) =>
          this.#client.forwardOut("127.0.0.1", 0, host, port, done),
        ),
      (channel) => new ChannelStream(channel, this.#windows),
      { inTurn: false },
    );
    stream.once("end", () => setImmediate(() => stream.destroy()));
    return stream;
  }

  /** One after the other, unless told otherwise, and no more than allowed. */
  async #enter(
    ask: () => Promise<ClientChannel>,
    take: (channel: ClientChannel) => ChannelStream,
    { inTurn = true } = {},
  ): Promise<ChannelStream> {
    // One that was destroyed tells of its end a moment later.
    const standing = [...this.#open].filter((stream) => !stream.destroyed);
    if (standing.length + this.#waiting >= MAX_CHANNELS) {
      throw new TetherError("channel-limit", `${MAX_CHANNELS} channels are open already`);
    }
    this.#waiting += 1;
    const opening = inTurn ? this.#turn.then(ask) : ask();
    if (inTurn) this.#turn = opening.catch(() => undefined);
    try {
      const stream = take(await opening);
      stream.on("error", () => undefined);
      this.#open.add(stream);
      stream.once("close", () => this.#open.delete(stream));
      // The link may have ended in the same breath.
      if (this.#ended !== null) {
        stream.destroy(this.#ended);
        throw this.#ended;
      }
      return stream;
    } finally {
      this.#waiting -= 1;
    }
  }

  /**
   * Runs `true` and forgets it. OpenSSH before 10 turns Nagle's algorithm off only for a connection on which a session
   * has run something; until then small pipelined requests wait for delayed ACKs. Never rejects; takes 1 s at most.
   */
  async nudge(): Promise<void> {
    await this.#bounded(NUDGE_MS, "true", (done) => this.#client.exec("true", done)).then(
      (channel) => {
        channel.on("error", () => undefined);
        channel.resume();
        channel.stderr.resume();
        channel.close();
      },
      () => undefined,
    );
  }

  /** Ends every stream with `reason` and refuses new ones. Idempotent. */
  end(reason: Error): void {
    this.#ended ??= reason;
    for (const stream of this.#open) stream.destroy(reason);
  }

  /** Once a channel has opened, a refusal means "too many just now" and often passes at once. */
  async #openPatiently(transport: Transport): Promise<ClientChannel> {
    for (const pause of RETRY_PAUSES_MS) {
      try {
        return await this.#openChannel(transport);
      } catch (error) {
        if (!this.#proven || !(error instanceof TetherError) || error.code !== "channel-failed") throw error;
        await delay(pause);
      }
    }
    try {
      return await this.#openChannel(transport);
    } catch (error) {
      if (transport === "socket" || this.#ended !== null) throw error;
      throw new TetherError("channel-limit", "sshd opens no more sessions on this connection (MaxSessions)", {
        cause: error,
      });
    }
  }

  #openChannel(transport: Transport): Promise<ClientChannel> {
    if (transport === "socket") {
      return this.#bounded(OPEN_MS, this.#remoteSocket, (done) =>
        this.#client.openssh_forwardOutStreamLocal(this.#remoteSocket, done),
      );
    }
    return this.#bounded(OPEN_MS, STDIO_COMMAND, (done) => this.#client.exec(STDIO_COMMAND, done));
  }

  /** One request for a channel. A channel that comes too late is closed. ssh2 throws where the link is gone. */
  #bounded(
    ms: number,
    what: string,
    ask: (done: (error: Error | undefined, channel: ClientChannel) => void) => void,
  ): Promise<ClientChannel> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== null) {
        reject(this.#ended);
        return;
      }
      let late = false;
      const timer = setTimeout(() => {
        late = true;
        reject(new TetherError("timeout", `${what}: sshd opened no channel within ${ms / 1000} s`));
      }, ms);
      const fail = (error: unknown): void => {
        clearTimeout(timer);
        const failure = new TetherError("channel-failed", `${what}: ${messageOf(error)}`, { cause: error });
        reject(this.#ended ?? failure);
      };
      const asked = performance.now();
      try {
        ask((error, channel) => {
          if (error !== undefined) fail(error);
          else if (late) channel.close();
          else {
            clearTimeout(timer);
            this.#windows.answered(performance.now() - asked);
            resolve(channel);
          }
        });
      } catch (error) {
        fail(error);
      }
    });
  }
}
