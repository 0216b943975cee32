import { expect, test } from "vitest";
import { recordCommands } from "../../src/cli/command-line.js";
import { kindOf } from "../../src/cli/values.js";
import { commandWords } from "../../src/cli/program.js";

test("what is said to yargs is read off: commands, options, the words they take, notes", () => {
  const commands = recordCommands((root) =>
    root
      .scriptName("x")
      .command(
        "send <way> [paths..]",
        "Send it",
        (command) =>
          command
            .parserConfiguration({ "populate--": true })
            .positional("way", { choices: ["up", "down"] as const, demandOption: true })
            .positional("paths", { type: "string", array: true, describe: "What to send" })
            .option("wait", { type: "boolean", describe: "Wait for it" })
            .option("to", { type: "string", requiresArg: true, choices: ["a"], describe: "Where" })
            .option("secret", { type: "boolean", hidden: true })
            .conflicts("wait", "to")
            .epilogue("It takes a while."),
        () => undefined,
      )
      .command(
        "hidden",
        false,
        (command) => command,
        () => undefined,
      ),
  );
  expect(commands).toEqual([
    {
      name: "send",
      describe: "Send it",
      positionals: [
        { name: "way", describe: "", choices: ["up", "down"], required: true, many: false, dashed: false },
        { name: "paths", describe: "What to send", choices: [], required: false, many: true, dashed: false },
        { name: "args", describe: "", choices: [], required: false, many: true, dashed: true },
      ],
      options: [
        { name: "--wait", describe: "Wait for it", value: null },
        { name: "--to", describe: "Where", value: { name: "to", choices: ["a"] } },
      ],
      notes: ["It takes a while."],
    },
  ]);
});

test("every word that a person chooses can be completed, or is known to be beyond that", () => {
  for (const command of commandWords()) {
    const values = [...command.positionals, ...command.options.flatMap(({ value }) => value ?? [])];
    for (const value of values.filter(({ choices }) => choices.length === 0)) {
      expect(kindOf(command, value), `${command.name} ${value.name} in values.ts`).not.toBeNull();
    }
  }
});
