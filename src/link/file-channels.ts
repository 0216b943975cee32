// The SFTP channels of a link, for looks at the machine's files: each ends when it is closed, and all of them with the link.

import { TetherError } from "../util/errors.js";
import type { RemoteFiles } from "./link.js";
import type { SftpChannel } from "./sftp-channel.js";

export class FileChannels {
  readonly #openSftp: (onEnd: (why: string) => void) => Promise<SftpChannel>;
  readonly #open = new Set<SftpChannel>();
  #ended: Error | null = null;

  /** `open` as `openSftp`. */
  constructor(open: (onEnd: (why: string) => void) => Promise<SftpChannel>) {
    this.#openSftp = open;
  }

  /** See `SshLink.openFiles`. Rejects with the reason for which the link has ended, too. */
  async open(): Promise<RemoteFiles> {
    let lost: Error | null = null;
    const onEnd = (why: string): void => {
      lost = new TetherError("sftp-unavailable", why);
      opened?.end(lost);
    };
    let opened: SftpChannel | null = null;
    const channel = await this.#openSftp(onEnd);
    opened = channel;
    this.#open.add(channel);
    const close = (): void => {
      this.#open.delete(channel);
      channel.quit();
    };
    // Either may have ended in the same breath.
    const reason = this.#ended ?? lost;
    if (reason !== null) {
      close();
      throw reason;
    }
    return {
      stat: (path) => channel.stat(path),
      isLink: (path) => channel.isLink(path),
      head: (path, length) => channel.head(path, length),
      close,
    };
  }

  /** Settles with `reason` what waits, and refuses new ones. Idempotent. */
  end(reason: Error): void {
    this.#ended ??= reason;
    for (const channel of this.#open) channel.end(reason);
    this.#open.clear();
  }
}
