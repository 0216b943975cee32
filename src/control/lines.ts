// Cuts a byte stream into lines, with a bound on what one line may hold.

/** A line without its newline, or the news that one was too long and has been skipped. */
export type Line = { readonly text: string } | { readonly tooLong: true };

/** Feeds on chunks in order; returns the lines that each one completes. */
export interface LineSplitter {
  push(chunk: Buffer): Line[];
  /** What came after the last newline, if anything did. */
  end(): Line[];
}

/** A splitter that holds at most `maxBytes` of an unfinished line; the rest of a longer one is dropped. */
export function createLineSplitter(maxBytes: number): LineSplitter {
  let parts: Buffer[] = [];
  let held = 0;
  let skipping = false;

  const add = (part: Buffer): void => {
    if (skipping) return;
    held += part.length;
    if (held > maxBytes) {
      skipping = true;
      parts = [];
    } else {
      parts.push(part);
    }
  };
  const take = (): Line => {
    const line: Line = skipping ? { tooLong: true } : { text: Buffer.concat(parts).toString("utf8") };
    parts = [];
    held = 0;
    skipping = false;
    return line;
  };

  return {
    push: (chunk) => {
      const lines: Line[] = [];
      let from = 0;
      for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
        add(chunk.subarray(from, at));
        lines.push(take());
        from = at + 1;
      }
      if (from < chunk.length) add(chunk.subarray(from));
      return lines;
    },
    end: () => (skipping || held > 0 ? [take()] : []),
  };
}
