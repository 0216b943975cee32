import { expect, test } from "vitest";
import { createLimit } from "../../src/util/limit.js";

test("no more than allowed are under way, all have their turn in order, and failures free theirs", async () => {
  const limit = createLimit(3);
  const order: number[] = [];
  let running = 0;
  let most = 0;
  const results = await Promise.allSettled(
    Array.from({ length: 20 }, (_, index) =>
      limit(async () => {
        order.push(index);
        most = Math.max(most, (running += 1));
        await new Promise((resolve) => setTimeout(resolve, index % 4));
        running -= 1;
        if (index % 5 === 0) throw new Error("no");
        return index;
      }),
    ),
  );
  expect(most).toBe(3);
  expect(order).toEqual(Array.from({ length: 20 }, (_, index) => index));
  expect(results.filter(({ status }) => status === "rejected")).toHaveLength(4);
});
