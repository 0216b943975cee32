// What happened when, by the wall clock, so that it can be laid beside the daemon's log.

export class Journal {
  readonly #lines: string[] = [];
  readonly #echo: boolean;

  /** `echo` also writes each line to stderr at once: an hour is long. */
  constructor(echo: boolean) {
    this.#echo = echo;
  }

  add(what: string): void {
    const line = `${new Date().toISOString().slice(11, 23)} ${what}`;
    this.#lines.push(line);
    if (this.#echo) process.stderr.write(`${line}\n`);
  }

  text(): string {
    return this.#lines.join("\n");
  }
}
