// Many small writes of one turn of the event loop as one system call.

interface Corkable {
  cork(): void;
  uncork(): void;
}

const gathering = new WeakSet<Corkable>();

/** What is written to `stream` from now on goes out together when this turn of the event loop ends, or with `release`. */
export function gather(stream: Corkable): void {
  if (gathering.has(stream)) return;
  gathering.add(stream);
  stream.cork();
  setImmediate(() => release(stream));
}

/** What `gather` holds back goes out now. */
export function release(stream: Corkable): void {
  if (gathering.delete(stream)) stream.uncork();
}
