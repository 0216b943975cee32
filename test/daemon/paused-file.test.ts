import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pino } from "pino";
import { expect, test } from "vitest";
import { createPausedRecord, readPaused } from "../../src/daemon/paused-file.js";
import { initialState } from "../../src/decision/state.js";
import { temporaryFolder } from "../support/temp-folder.js";

const caches = ["pi", "nas"];
const states = (...paused: string[]) =>
  new Map(caches.map((name) => [name, initialState(0, { paused: paused.includes(name) })]));

/** What is read, and the words of the log. */
function read(file: string): { paused: string[]; said: string } {
  let said = "";
  const log = pino({ level: "info" }, { write: (line) => void (said += line) });
  return { paused: readPaused(file, caches, log), said };
}

test("what is paused is written when it changes, and read back", async () => {
  const file = path.join(temporaryFolder(), "state/paused.json");
  let writes = 0;
  const record = createPausedRecord({
    file,
    paused: [],
    onSaved: (error) => {
      expect(error).toBeNull();
      writes += 1;
    },
  });
  record.follow(states());
  await record.flush();
  expect([read(file), writes]).toEqual([{ paused: [], said: "" }, 0]);
  for (const paused of [["nas"], ["pi", "nas"], []]) {
    record.follow(states(...paused));
    record.follow(states(...paused));
    await record.flush();
    expect(read(file)).toEqual({ paused, said: "" });
  }
  expect(writes).toBe(3);
});

test("names that are no caches are ignored", () => {
  const file = path.join(temporaryFolder(), "paused.json");
  writeFileSync(file, '{"version":1,"paused":["gone",7,"nas"]}');
  expect(read(file)).toEqual({ paused: ["nas"], said: "" });
});

test.each(['{"paused":', '{"version":1}', '{"paused":"pi"}', "null", ""])(
  "%j is said to be damaged",
  (text) => {
    const file = path.join(temporaryFolder(), "paused.json");
    writeFileSync(file, text);
    const { paused, said } = read(file);
    expect(paused).toEqual([]);
    expect(said).toContain("can not be read");
  },
);

test("where it can not be written, that is said with what it means", async () => {
  const file = path.join(temporaryFolder(), "paused.json");
  mkdirSync(file);
  const errors: unknown[] = [];
  const record = createPausedRecord({ file, paused: [], onSaved: (error) => errors.push(error) });
  record.follow(states("pi"));
  await record.flush();
  expect(errors).toMatchObject([
    { code: "state-unwritable", remedy: expect.stringContaining("what you have paused") },
  ]);
});
