// What was made and must go again, however the bench ends.

export interface Disposable {
  dispose(): Promise<void>;
}

export class Scope implements Disposable {
  readonly #things: Disposable[] = [];
  #ended = false;

  get ended(): boolean {
    return this.#ended;
  }

  /** Has `thing` disposed of at the end; what comes after the end goes at once. */
  async add<T extends Disposable>(making: Promise<T> | T): Promise<T> {
    const thing = await making;
    if (this.#ended) {
      await thing.dispose();
      throw new Error("the bench was interrupted");
    }
    this.#things.push(thing);
    return thing;
  }

  /** Runs `body` with a scope that ends with it, or with this one. */
  async within<T>(body: (inner: Scope) => Promise<T>): Promise<T> {
    const inner = await this.add(new Scope());
    try {
      return await body(inner);
    } finally {
      this.#things.splice(this.#things.indexOf(inner), 1);
      await inner.dispose();
    }
  }

  /** The last made goes first. Never rejects: what can not be removed is told on stderr. */
  async dispose(): Promise<void> {
    this.#ended = true;
    for (let thing = this.#things.pop(); thing !== undefined; thing = this.#things.pop()) {
      await thing.dispose().catch((error: unknown) => process.stderr.write(`bench: ${String(error)}\n`));
    }
  }
}
