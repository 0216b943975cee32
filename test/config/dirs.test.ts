import { mkdirSync, symlinkSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { configPaths, resolveDirs, xdgConfigDirs } from "../../src/config/dirs.js";
import { temporaryFolder } from "../support/temp-folder.js";

const { uid, homedir } = os.userInfo();

describe("places", () => {
  test("follow the XDG variables", () => {
    const dirs = resolveDirs({ XDG_CONFIG_HOME: "/c", XDG_RUNTIME_DIR: "/r", XDG_STATE_HOME: "/s" });
    expect({ ...dirs, cacheSocket: dirs.cacheSocket("pi") }).toEqual({
      configFile: "/c/nix-tether/config.toml",
      overrideFile: "/c/nix/nix-tether.conf",
      nixConf: "/c/nix/nix.conf",
      runtimeDir: "/r/nix-tether",
      stateDir: "/s/nix-tether",
      spoolDir: "/s/nix-tether/spool",
      generationFile: "/s/nix-tether/generations.json",
      pausedFile: "/s/nix-tether/paused.json",
      processorsFile: "/s/nix-tether/processors.json",
      awayMark: "/s/nix-tether/denied-while-away",
      controlSocket: "/r/nix-tether/control.sock",
      cacheSocket: "/r/nix-tether/pi.sock",
    });
  });

  test.each(["", "relative/path"])("ignore the value %j", (value) => {
    const dirs = resolveDirs({
      HOME: "/home/alice",
      XDG_CONFIG_HOME: value,
      XDG_STATE_HOME: value,
      XDG_RUNTIME_DIR: "/r",
    });
    expect(dirs.configFile).toBe("/home/alice/.config/nix-tether/config.toml");
    expect(dirs.stateDir).toBe("/home/alice/.local/state/nix-tether");
  });

  test("need no HOME", () => {
    expect(configPaths({}).nixConf).toBe(path.join(homedir, ".config/nix/nix.conf"));
  });

  test("config dirs have a default and skip relative ones", () => {
    expect(xdgConfigDirs({})).toEqual(["/etc/xdg"]);
    expect(xdgConfigDirs({ XDG_CONFIG_DIRS: "/a:rel::/b" })).toEqual(["/a", "/b"]);
  });
});

describe("without XDG_RUNTIME_DIR", () => {
  test("the usual folder is taken when it is ours", () => {
    const runUser = temporaryFolder();
    mkdirSync(path.join(runUser, String(uid)));
    expect(resolveDirs({}, { runUser }).runtimeDir).toBe(path.join(runUser, String(uid), "nix-tether"));
  });

  test.each(["missing", "a link"])("an error says what to do when that is %s", (what) => {
    const runUser = temporaryFolder();
    if (what === "a link") symlinkSync(runUser, path.join(runUser, String(uid)));
    expect(() => resolveDirs({ XDG_RUNTIME_DIR: "rel" }, { runUser })).toThrowError(
      expect.objectContaining({
        code: "no-runtime-dir",
        message: `XDG_RUNTIME_DIR is not set and ${runUser}/${uid} is not a folder of yours`,
        remedy: expect.stringContaining("set XDG_RUNTIME_DIR") as string,
      }),
    );
  });

  test("the files under the config folder are still known", () => {
    expect(configPaths({ XDG_CONFIG_HOME: "/c" }).overrideFile).toBe("/c/nix/nix-tether.conf");
  });
});
