// One piece of work after the other, in the order in which they were asked for.

/** Runs `work` when all that was given before has ended, well or not; settles as `work` does. */
export type Serial = <T>(work: () => Promise<T>) => Promise<T>;

export function createSerial(): Serial {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = result.catch(() => undefined);
    return result;
  };
}
