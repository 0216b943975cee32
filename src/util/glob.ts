// Patterns for names: `*` stands for any characters, `?` for one. Pure.

/** Whether the whole of `text` fits. Takes at most as many steps as the product of both lengths, whatever the pattern. */
export function matchesGlob(text: string, pattern: string): boolean {
  let at = 0;
  let next = 0;
  /** Where to go on after the last star when what follows it does not fit. */
  let star: { next: number; at: number } | null = null;
  while (at < text.length) {
    const wanted = pattern[next];
    if (wanted === "*") {
      next += 1;
      star = { next, at };
    } else if (wanted === "?" || wanted === text[at]) {
      next += 1;
      at += 1;
    } else if (star !== null) {
      star.at += 1;
      ({ next, at } = star);
    } else return false;
  }
  return /^\**$/.test(pattern.slice(next));
}
