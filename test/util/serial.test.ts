import { expect, test } from "vitest";
import { createSerial } from "../../src/util/serial.js";

test("one after the other, also after one that fails", async () => {
  const inTurn = createSerial();
  const order: string[] = [];
  const work = (name: string, fails: boolean) => async (): Promise<string> => {
    order.push(`${name} begins`);
    await new Promise((resolve) => setTimeout(resolve, 5));
    order.push(`${name} ends`);
    if (fails) throw new Error(name);
    return name;
  };
  const first = inTurn(work("first", true));
  const second = inTurn(work("second", false));
  await expect(first).rejects.toThrow("first");
  expect(await second).toBe("second");
  expect(order).toEqual(["first begins", "first ends", "second begins", "second ends"]);
});
