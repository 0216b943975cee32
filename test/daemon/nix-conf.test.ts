import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { findInclude, includeAdvice, type IncludeVerdict } from "../../src/daemon/nix-conf.js";
import { temporaryFolder } from "../support/temp-folder.js";

/** Writes `files` below a new folder and judges them, with that folder as / in what comes back. */
function judge(files: Record<string, string>, env: Record<string, string> = {}): IncludeVerdict {
  const root = temporaryFolder();
  for (const [name, content] of Object.entries({ "c/nix/nix-tether.conf": "# empty\n", ...files })) {
    mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    writeFileSync(path.join(root, name), content.replaceAll("ROOT", root));
  }
  const here = Object.entries(env).map(([name, value]) => [name, value.replaceAll("ROOT", root)]);
  const found = findInclude(
    { overrideFile: path.join(root, "c/nix/nix-tether.conf") },
    {
      XDG_CONFIG_HOME: path.join(root, "c"),
      XDG_CONFIG_DIRS: path.join(root, "x"),
      ...Object.fromEntries(here),
    },
  );
  return JSON.parse(JSON.stringify(found).replaceAll(root, "")) as IncludeVerdict;
}

const included = { kind: "included", file: "/c/nix/nix.conf" };
const missing = {
  kind: "missing",
  line: "!include nix-tether.conf",
  file: "/c/nix/nix.conf",
  generated: false,
};

describe("included", () => {
  test.each([
    "!include nix-tether.conf",
    "include nix-tether.conf",
    "  !include\tROOT/c/nix/nix-tether.conf  # caches\n",
    "!include ../nix/./nix-tether.conf",
    "substituters = http://a\n!include nix-tether.conf\nextra-substituters = http://b\n",
    "!include nix-tether.conf\n# substituters = http://a\ntrusted-substituters = x",
    "cores = 2\n!include nix-tether.conf\nsubstituters = http://a\n!include nix-tether.conf",
  ])("%j", (text) => {
    expect(judge({ "c/nix/nix.conf": text })).toEqual(included);
  });

  test("by way of another file, which is named", () => {
    const files = {
      "c/nix/nix.conf": "!include more/mine.conf",
      "c/nix/more/mine.conf": "!include ../nix-tether.conf",
    };
    expect(judge(files)).toEqual({ kind: "included", file: "/c/nix/more/mine.conf" });
  });

  test("after what a file of less weight sets", () => {
    const files = {
      "c/nix/nix.conf": "!include nix-tether.conf",
      "x/nix/nix.conf": "substituters = http://a",
    };
    expect(judge(files)).toEqual(included);
  });

  test("through a link to the override's folder", () => {
    const root = temporaryFolder();
    mkdirSync(path.join(root, "c/nix"), { recursive: true });
    symlinkSync(path.join(root, "c/nix"), path.join(root, "link"));
    const overrideFile = path.join(root, "c/nix/nix-tether.conf");
    writeFileSync(overrideFile, "");
    writeFileSync(path.join(root, "c/nix/nix.conf"), `!include ${root}/link/nix-tether.conf`);
    expect(findInclude({ overrideFile }, { XDG_CONFIG_HOME: path.join(root, "c") }).kind).toBe("included");
  });

  test("before the override has ever been written", () => {
    const root = temporaryFolder();
    mkdirSync(path.join(root, "nix"));
    writeFileSync(path.join(root, "nix/nix.conf"), "!include nix-tether.conf");
    const overrideFile = path.join(root, "nix/nix-tether.conf");
    expect(findInclude({ overrideFile }, { XDG_CONFIG_HOME: root }).kind).toBe("included");
  });
});

describe("missing", () => {
  test.each([
    {},
    { "c/nix/nix.conf": "" },
    { "c/nix/nix.conf": "#!include nix-tether.conf\n!include other.conf" },
  ])("%j", (files) => {
    expect(judge(files)).toEqual(missing);
  });

  test("where NIX_USER_CONF_FILES names other files", () => {
    const files = { "c/nix/nix.conf": "!include nix-tether.conf", "other.conf": "" };
    expect(judge(files, { NIX_USER_CONF_FILES: "ROOT/other.conf" })).toEqual({
      kind: "missing",
      line: "!include /c/nix/nix-tether.conf",
      file: "/other.conf",
      generated: false,
    });
  });

  test("from a file that includes itself", () => {
    expect(judge({ "c/nix/nix.conf": "include nix.conf" })).toEqual(missing);
  });

  test("from a file that is generated", () => {
    const root = temporaryFolder();
    mkdirSync(path.join(root, "nix"));
    symlinkSync("/nix/store/00000000000000000000000000000000-hm/nix.conf", path.join(root, "nix/nix.conf"));
    const overrideFile = path.join(root, "nix/nix-tether.conf");
    const found = findInclude({ overrideFile }, { XDG_CONFIG_HOME: root });
    expect(found).toMatchObject({ kind: "missing", generated: true });
    expect(includeAdvice(found)?.remedy).toContain("services.nix-tether.includeOverride");
  });
});

describe("not last", () => {
  test.each([
    ["substituters = http://a", "substituters", 3],
    ["\nbinary-caches =", "binary-caches", 4],
  ])("%j comes after", (later, setting, lineNumber) => {
    expect(judge({ "c/nix/nix.conf": `cores = 1\n!include nix-tether.conf\n${later}` })).toEqual({
      kind: "not-last",
      setting,
      file: "/c/nix/nix.conf",
      lineNumber,
    });
  });

  test("a file of more weight sets it", () => {
    const files = { "a.conf": "substituters = http://a", "b.conf": "!include ROOT/c/nix/nix-tether.conf" };
    const env = { NIX_USER_CONF_FILES: "ROOT/a.conf:ROOT/b.conf" };
    expect(judge(files, env)).toMatchObject({ kind: "not-last", file: "/a.conf", lineNumber: 1 });
  });

  test("NIX_CONFIG sets it", () => {
    const files = { "c/nix/nix.conf": "!include nix-tether.conf" };
    expect(judge(files, { NIX_CONFIG: "cores = 1\nsubstituters = http://a" })).toEqual({
      kind: "not-last",
      setting: "substituters",
      file: "NIX_CONFIG",
      lineNumber: 2,
    });
  });
});

test("the advice says what to write where", () => {
  expect(includeAdvice({ kind: "included", file: "/n" })).toBeNull();
  expect(
    includeAdvice({ kind: "missing", line: "!include nix-tether.conf", file: "/n", generated: false }),
  ).toEqual({
    text: "Nix does not read the override: no nix.conf includes it",
    remedy: "Add this line at the end of /n: !include nix-tether.conf",
  });
  expect(includeAdvice({ kind: "not-last", setting: "substituters", file: "/n", lineNumber: 7 })).toEqual({
    text: "'substituters = …' at /n:7 comes after the override and undoes it",
    remedy: "Move the include of the override below that line, or write 'extra-substituters = …' there.",
  });
});
