import { expect, test } from "vitest";
import { farmProgress } from "../../src/cli/farm-progress.js";
import type { CliContext } from "../../src/cli/context.js";

function told(isTTY: boolean): string {
  let text = "";
  let now = 0;
  const stderr = { write: (more: string) => (text += more), isTTY, columns: 40 };
  const context = { env: {}, stdout: stderr, stderr, now: () => now } as unknown as CliContext;
  const progress = farmProgress(context, "home");
  progress.step("building x");
  for (now = 1_000; now < 1_300; now += 100)
    progress.doing(`builds a\u001b[31m thing with a very long name ${now}`);
  progress.step("signing");
  progress.end();
  return text;
}

test("elsewhere than on a terminal, a line for each step", () => {
  expect(told(false)).toBe("home: building x\nhome: signing\n");
});

test("on a terminal, one line that changes now and then, and no wider than that", () => {
  const clear = "\r\u001b[K";
  const line = (text: string): string => `\r${text}\u001b[K`;
  const shown = "home: building x, 1 s: builds a thing w";
  expect(told(true)).toBe(
    `${clear}home: building x\n${line(shown)}${line(shown)}${clear}home: signing\n${clear}`,
  );
});
