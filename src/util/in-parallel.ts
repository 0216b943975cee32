// The same work on many things, a few at a time.

/**
 * Does `work` on every item, at most `most` at once, in the order of the items. Rejects with the first failure, when what
 * had begun has ended; nothing new is begun after one.
 */
export async function inParallel<T>(
  items: Iterable<T>,
  most: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const left = items[Symbol.iterator]();
  let failure: { readonly error: unknown } | null = null;
  const worker = async (): Promise<void> => {
    for (let next = left.next(); failure === null && next.done !== true; next = left.next()) {
      try {
        await work(next.value);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: most }, worker));
  if (failure !== null) throw (failure as { readonly error: unknown }).error;
}
