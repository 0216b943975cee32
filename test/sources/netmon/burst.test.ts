import { expect, test } from "vitest";
import { createBurst } from "../../../src/sources/netmon/burst.js";
import { createFakeClock } from "../../support/fake-clock.js";

function setUp() {
  const clock = createFakeClock();
  const start = clock.read().monotonic;
  const looks: string[] = [];
  const burst = createBurst(clock, (which, cause) => {
    looks.push(`${clock.read().monotonic - start} ${which} ${cause}`);
  });
  return { clock, burst, looks };
}

test("one poke is acted on before it returns, and looked at once more when it is quiet", () => {
  const { clock, burst, looks } = setUp();
  burst.poke("a");
  expect(looks).toEqual(["0 first a"]);
  clock.run(149);
  expect(looks).toHaveLength(1);
  clock.run(1_000);
  expect(looks).toEqual(["0 first a", "150 last a"]);
});

test("a burst is folded: a look every 50 ms while it lasts, and one 150 ms after its end", () => {
  const { clock, burst, looks } = setUp();
  for (const cause of ["a", "b", "c", "d", "e", "f", "g"]) {
    burst.poke(cause);
    clock.run(10);
  }
  clock.run(1_000);
  expect(looks).toEqual(["0 first a", "50 during e", "100 during g", "210 last g"]);
});

test("a poke late in a burst is seen at once", () => {
  const { clock, burst, looks } = setUp();
  burst.poke("a");
  clock.run(120);
  burst.poke("carrier");
  expect(looks).toEqual(["0 first a", "120 during carrier"]);
});

test("pokes that never end are seen every 50 ms all the same", () => {
  const { clock, burst, looks } = setUp();
  for (let i = 0; i < 200; i += 1) {
    burst.poke("chatter");
    clock.run(10);
  }
  const times = looks.map((look) => Number.parseInt(look, 10));
  expect(times.every((time, index) => index === 0 || time - times[index - 1]! <= 60)).toBe(true);
});

test("after quiet the next poke begins a new burst", () => {
  const { clock, burst, looks } = setUp();
  burst.poke("a");
  clock.run(1_000);
  burst.poke("b");
  expect(looks.at(-1)).toBe("1000 first b");
});

test("nothing is looked at after stop", () => {
  const { clock, burst, looks } = setUp();
  burst.poke("a");
  clock.run(10);
  burst.poke("b");
  burst.stop();
  clock.run(1_000);
  expect(looks).toHaveLength(1);
});
