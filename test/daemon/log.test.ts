import { execFile } from "node:child_process";
import { fstatSync, openSync, closeSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import type { Logger } from "pino";
import { createLog, styleOf } from "../../src/daemon/log.js";
import type { LogStyle } from "../../src/daemon/log-format.js";
import { TetherError } from "../../src/util/errors.js";
import { compileProgram } from "../support/compile.js";
import { temporaryFolder } from "../support/temp-folder.js";

/** What `use` writes to a log of this style. */
function written(style: LogStyle, use: (log: Logger) => void, level?: string): string {
  let text = "";
  const env = level === undefined ? {} : { NIX_TETHER_LOG: level };
  use(createLog({ env, style, write: (part) => (text += part) }));
  return text;
}

describe("a line", () => {
  test("in the journal has its priority and no time", () => {
    const text = written(
      "journal",
      (log) => {
        log.debug("one");
        log.info({ cache: "pi", port: 22 }, "pi is online");
        log.child({ cache: "pi" }).warn({ text: "two words", empty: "", list: ["a"] }, "three");
        log.error("four");
      },
      "debug",
    );
    expect(text).toBe(
      `<7>one\n<6>pi is online cache=pi port=22\n<4>three cache=pi text="two words" empty="" list=["a"]\n<3>four\n`,
    );
  });

  test("in a file has the full time and the level", () => {
    expect(written("plain", (log) => log.info({ a: 1 }, "text"))).toMatch(
      /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info text a=1\n$/,
    );
  });

  test("on a terminal has a short time, and colours where these are wanted", () => {
    expect(written("terminal", (log) => log.warn({ a: 1 }, "text"))).toMatch(
      /^\d\d:\d\d:\d\d warn  text a=1\n$/,
    );
    expect(written("colour", (log) => log.warn({ a: 1 }, "text"))).toContain(
      "\u001b[33mwarn \u001b[39m text",
    );
  });

  test("can not be forged by what it quotes", () => {
    const evil = "x\n<0>panic \u001b[2J";
    expect(written("journal", (log) => log.info({ evil, nested: { evil } }, evil))).toBe(
      '<6>x <0>panic evil="x <0>panic" nested={"evil":"x\\n<0>panic \\u001b[2J"}\n',
    );
  });

  test("never holds a secret", () => {
    const text = written("journal", (log) =>
      log.info(
        { passphrase: "hunter2", link: { privateKey: Buffer.from("hunter2"), user: "pi" } },
        "connecting",
      ),
    );
    expect(text).toBe('<6>connecting passphrase=[redacted] link={"privateKey":"[redacted]","user":"pi"}\n');
  });
});

describe("an error", () => {
  const cause = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
  const error = new TetherError("refused", "pi refuses the connection", { cause });

  test("is told with its causes and its code", () => {
    expect(written("journal", (log) => log.error({ err: error }, "no link"))).toBe(
      '<3>no link error="pi refuses the connection: connect ECONNREFUSED" code=refused\n',
    );
    expect(written("journal", (log) => log.error({ error: cause, cache: "pi" }, "no link"))).toBe(
      '<3>no link error="connect ECONNREFUSED" code=ECONNREFUSED cache=pi\n',
    );
  });

  test("alone is the sentence itself", () => {
    expect(written("journal", (log) => log.error(cause))).toBe("<3>connect ECONNREFUSED code=ECONNREFUSED\n");
  });

  test("shows its stack at debug only, each line with the frame of the first", () => {
    const lines = written("journal", (log) => log.error({ err: error }, "no link"), "debug")
      .trim()
      .split("\n");
    expect(lines.length).toBeGreaterThan(1);
    for (const line of lines.slice(1)) expect(line).toMatch(/^<3> {2}at /);
  });
});

describe("the level", () => {
  test.each([
    [undefined, "<6>info\n<4>warn\n"],
    ["", "<6>info\n<4>warn\n"],
    ["warn", "<4>warn\n"],
    ["silent", ""],
    ["debug", "<7>debug\n<6>info\n<4>warn\n"],
    [
      "loud",
      "<4>NIX_TETHER_LOG=loud is not a level; known are trace, debug, info, warn, error, fatal and silent\n<6>info\n<4>warn\n",
    ],
  ])("of %j", (level, expected) => {
    const text = written(
      "journal",
      (log) => {
        log.debug("debug");
        log.info("info");
        log.warn("warn");
      },
      level,
    );
    expect(text).toBe(expected);
  });
});

test("the journal is known by the stream's own number, not by the variable alone", () => {
  const fd = openSync(path.join(temporaryFolder(), "stream"), "w");
  try {
    const { dev, ino } = fstatSync(fd);
    expect(styleOf({ JOURNAL_STREAM: `${dev}:${ino}` }, fd)).toBe("journal");
    expect(styleOf({ JOURNAL_STREAM: `${dev}:${ino + 1}` }, fd)).toBe("plain");
    expect(styleOf({}, fd)).toBe("plain");
  } finally {
    closeSync(fd);
  }
});

test("nothing is lost at exit, not even into a pipe that is read slowly", async () => {
  const program = await compileProgram("test/support/log-and-exit.ts");
  try {
    const { stderr } = await promisify(execFile)(
      "sh",
      ["-c", `node ${program.file} 2>&1 >/dev/null | (sleep 0.3; cat) >&2`],
      {
        maxBuffer: 64 << 20,
      },
    );
    expect(stderr.split("\n").filter((line) => line.includes("line of the log"))).toHaveLength(5000);
  } finally {
    await program.remove();
  }
}, 60_000);
