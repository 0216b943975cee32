import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  advance,
  askedUnder,
  firstGenerations,
  generationCount,
  negativeMs,
  type Generations,
} from "../../src/decision/generation.js";

const start = Date.parse("2026-11-22T10:00:00Z");
const minute = 60_000;

/** After `moves` moves, one each `everyMs`. */
function moved(moves: number, everyMs: number): { state: Generations; now: number; visited: number[] } {
  let state = firstGenerations();
  let now = start;
  const visited = [state.current];
  for (let i = 0; i < moves; i += 1) {
    now += everyMs;
    state = advance(state, now).next;
    visited.push(state.current);
  }
  return { state, now, visited };
}

describe("advance", () => {
  it("begins at 0 and goes round the ring", () => {
    const { visited } = moved(17, 10 * minute);
    expect(visited).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1]);
  });

  it("passes over those that were asked under within the hour", () => {
    const asked = askedUnder(askedUnder(firstGenerations(), 1, start), 2, start - negativeMs);
    expect(advance(asked, start).next.current).toBe(2);
    expect(advance(asked, start + negativeMs)).toMatchObject({ next: { current: 1 }, exhausted: false });
  });

  it("passes over those that Nix would ignore, and stays where there is no other", () => {
    const but = (...allowed: number[]): Set<number> =>
      new Set(Array.from({ length: generationCount }, (_, i) => i).filter((i) => !allowed.includes(i)));
    const first = firstGenerations();
    expect(advance(first, start, but(0, 5)).next.current).toBe(5);
    expect(advance(first, start, but(0))).toMatchObject({ next: { current: 0 }, exhausted: true });
    expect(advance(first, start, but())).toMatchObject({ next: { current: 1 }, exhausted: false });
  });

  it("counts the one it leaves as used until now, however long ago it was listed first", () => {
    const { next } = advance(firstGenerations(), start + 5 * negativeMs);
    expect(next.lastUsed[0]).toBe(start + 5 * negativeMs);
    expect(next.lastUsed[1]).toBe(start + 5 * negativeMs);
  });

  it("says when the ring is exhausted, and takes the one that was used the longest time ago", () => {
    const { state, now } = moved(15, minute);
    expect(state.current).toBe(15);
    expect(advance(state, now)).toMatchObject({ next: { current: 0 }, exhausted: true });
    const stillAsked = askedUnder(askedUnder(state, 0, now), 1, now);
    expect(advance(stillAsked, now)).toMatchObject({ next: { current: 2 }, exhausted: true });
    expect(advance(state, now + negativeMs)).toMatchObject({ next: { current: 0 }, exhausted: false });
  });

  it("never stays, never returns within an hour unless all others were used, and changes no state it was given", () => {
    const step = fc.record({
      after: fc.integer({ min: 0, max: 30 * minute }),
      asked: fc.array(fc.integer({ min: 0, max: generationCount - 1 }), { maxLength: 4 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let state = firstGenerations();
        let now = start;
        for (const { after, asked } of steps) {
          now += after;
          for (const one of asked) state = askedUnder(state, one, now);
          const before = structuredClone(state);
          const { next, exhausted } = advance(state, now);
          expect(state).toEqual(before);
          expect(next.current).not.toBe(state.current);
          const others = state.lastUsed.filter((_, i) => i !== state.current);
          const chosen = state.lastUsed[next.current] ?? NaN;
          if (exhausted) expect(chosen).toBe(Math.min(...others));
          else expect(now - chosen).toBeGreaterThanOrEqual(negativeMs);
          expect(exhausted).toBe(others.every((used) => now - used < negativeMs));
          state = next;
        }
      }),
    );
  });
});
