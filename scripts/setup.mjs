// Makes a fresh clone ready to run: installs the packages and builds, each only where it is needed.
// Plain JavaScript without dependencies, for it runs before anything is installed.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const at = (...parts) => join(root, ...parts);

checkNode();
if (!packagesFresh()) install();
if (!buildFresh()) build();

function checkNode() {
  const { engines } = JSON.parse(readFileSync(at("package.json"), "utf8"));
  const needed = /\d+\.\d+/.exec(engines.node)[0];
  const [major, minor] = needed.split(".").map(Number);
  const [haveMajor, haveMinor] = process.versions.node.split(".").map(Number);
  if (haveMajor > major || (haveMajor === major && haveMinor >= minor)) return;
  fail(`Node ${needed} or newer is needed; this is ${process.versions.node} (${process.execPath}).`);
}

/** The stamp tells what was installed; without one (somebody ran npm by hand) the newer file wins. */
function packagesFresh() {
  const installed = at("node_modules", ".package-lock.json");
  if (!existsSync(installed)) return false;
  if (existsSync(stampFile())) return readFileSync(stampFile(), "utf8") === lockHash();
  return statSync(installed).mtimeMs >= statSync(at("package-lock.json")).mtimeMs;
}

function install() {
  say("installing packages (npm ci) ...");
  // A global NODE_ENV=production would leave out the compiler.
  npm(["ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"]);
  writeFileSync(stampFile(), lockHash());
}

function buildFresh() {
  const built = at("dist", "main.js");
  if (!existsSync(built)) return false;
  const time = statSync(built).mtimeMs;
  return newest(at("src")) <= time && statSync(at("tsconfig.json")).mtimeMs <= time;
}

function build() {
  say("building ...");
  npm(["run", "--silent", "build"]);
  // npm makes it executable when it links it; a build after that must not lose it.
  chmodSync(at("dist", "main.js"), 0o755);
}

function npm(args) {
  const { error, status, signal } = spawnSync("npm", args, {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (error?.code === "ENOENT") fail("npm is not on the PATH; it usually comes with Node.");
  if (error) fail(`npm could not be run: ${error.message}`);
  if (status !== 0) fail(`"npm ${args[0]}" failed (${signal ?? `exit code ${status}`}); see above.`);
}

function newest(folder) {
  return Math.max(
    statSync(folder).mtimeMs,
    ...readdirSync(folder, { withFileTypes: true }).map((entry) =>
      entry.isDirectory() ? newest(join(folder, entry.name)) : statSync(join(folder, entry.name)).mtimeMs,
    ),
  );
}

function stampFile() {
  return at("node_modules", ".nix-tether-setup");
}

function lockHash() {
  return createHash("sha256")
    .update(readFileSync(at("package-lock.json")))
    .digest("hex");
}

function say(text) {
  process.stderr.write(`setup: ${text}\n`);
}

function fail(text) {
  say(text);
  process.exit(1);
}
