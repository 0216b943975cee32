import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { loadConfig } from "../../src/config/load.js";
import type { Config } from "../../src/config/schema.js";
import { temporaryFolder } from "../support/temp-folder.js";

const least = 'repository = "/srv/conf"\nattributes = ["packages.x86_64-linux.hello"]\n';

function load(text: string): Promise<Config> {
  const home = temporaryFolder();
  const file = path.join(home, "config.toml");
  writeFileSync(file, text);
  return loadConfig(file, home);
}

const farm = (more: string): Promise<Config> => load(`[farms.home]\n${least}${more}\n`);

test("needs a repository and attributes, and has defaults for the rest", async () => {
  const { farms } = await farm("");
  expect(farms["home"]).toEqual({
    repository: "/srv/conf",
    attributes: ["packages.x86_64-linux.hello"],
    update: true,
    "update-inputs": [],
    "commit-lock": true,
    "git-push": "on-success",
    "push-to": [],
    keep: 2,
    "build-timeout": "6h",
    timeout: "12h",
    "nix-options": {},
  });
  await expect(load('[farms.home]\nrepository = "/srv/conf"')).rejects.toThrow(
    "farms.home.attributes: missing, expected a list of attributes",
  );
  await expect(load('[farms.home]\nrepository = "/srv/conf"\nattributes = []')).rejects.toThrow(
    "farms.home.attributes: found a list, expected a list of attributes",
  );
});

describe("the repository", () => {
  test.each([
    "https://example.org/conf.git",
    "ssh://git@example.org:22/conf",
    "git@example.org:me/conf.git",
    "host:conf",
    "file:///srv/conf",
    "/srv/with-dash",
  ])("may be %s", async (repository) => {
    await expect(
      load(`[farms.home]\nrepository = "${repository}"\nattributes = ["x"]`),
    ).resolves.toBeDefined();
  });

  test.each([
    "conf",
    "./conf",
    "github:me/conf",
    "path:/srv/conf",
    "--upload-pack=x:y",
    "https://-x",
    "a b:c",
  ])("may not be %s", async (repository) => {
    await expect(load(`[farms.home]\nrepository = "${repository}"\nattributes = ["x"]`)).rejects.toThrow(
      /farms.home.repository: found .*, expected a URL that git knows/,
    );
  });
});

test("a leading ~/ is the home of the user, in the repository and the key", async () => {
  const { farms } = await load(
    '[farms.home]\nrepository = "~/conf"\nsigning-key = "~/key"\nattributes = ["x"]',
  );
  expect(path.isAbsolute(farms["home"]?.repository ?? "")).toBe(true);
  expect(path.isAbsolute(farms["home"]?.["signing-key"] ?? "")).toBe(true);
});

test.each([
  'branch = "a..b"',
  'branch = "-x"',
  'directory = "../x"',
  'directory = "/x"',
  'directory = "a/.."',
  'attributes = ["a b"]',
  'attributes = ["#x"]',
  'build-timeout = "6"',
  'timeout = "30d"',
  'author = "nobody"',
  "keep = 0",
  'git-push = "sometimes"',
])("%s is refused", async (line) => {
  const [key = ""] = line.split(" ");
  const text = `[farms.home]\n${key === "attributes" ? 'repository = "/srv/conf"\n' : least}${line}\n`;
  await expect(load(text)).rejects.toThrow(`farms.home.${key}`);
});

test("its results go to caches that uploads go to", async () => {
  const caches = '[caches.pi]\nhost = "pi.local"\n';
  await expect(load(`${caches}[farms.home]\n${least}push-to = ["pi"]`)).rejects.toThrow(
    "farms.home.push-to: nothing is uploaded to the cache pi; name it in uploads.to, too",
  );
  await expect(
    load(`${caches}[uploads]\nto = ["pi"]\n[farms.home]\n${least}push-to = ["pie"]`),
  ).rejects.toThrow('named "pie"; did you mean pi?');
  await expect(
    load(`${caches}[uploads]\nto = ["pi"]\n[farms.home]\n${least}push-to = ["pi"]`),
  ).resolves.toBeDefined();
});
