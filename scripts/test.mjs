// `npm test`: sets up what the tests need, runs every test, and ends with one line that counts them.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";

const root = path.dirname(import.meta.dirname);
const isRoot = process.getuid?.() === 0;

function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: "inherit", ...options });
  if (result.error) throw result.error;
  return result.status ?? 1;
}

function mustRun(command, args) {
  const status = run(command, args);
  if (status !== 0) {
    console.error(`npm test: ${command} ${args.join(" ")} failed with exit code ${status}`);
    process.exit(1);
  }
}

mustRun(process.execPath, ["scripts/setup.mjs"]);
const projects = ["unit"];
if (isRoot) {
  mustRun("bash", ["scripts/install-packages.sh"]);
  mustRun("bash", ["scripts/fetch-nix.sh", "trixie", "forky"]);
  projects.push("integration", "lab");
} else {
  console.log(
    "npm test: not root, so only the unit tests run. The others start sshd, nix-daemon and whole machines in\n" +
      "network namespaces: run `sudo npm test` for all of them.",
  );
}

const folder = mkdtempSync(path.join(os.tmpdir(), "nix-tether-test-"));
let passed = 0;
let failed = 0;
try {
  for (const project of projects) {
    const report = path.join(folder, `${project}.json`);
    const vitest = path.join(root, "node_modules", "vitest", "vitest.mjs");
    const flags = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
    const status = run(process.execPath, [
      vitest,
      "run",
      "--project",
      project,
      ...flags,
      ...process.argv.slice(2),
    ]);
    const counts = JSON.parse(readFileSync(report, "utf8"));
    passed += counts.numPassedTests;
    failed += counts.numFailedTests;
    // A suite that could not even start counts as one failure.
    if (status !== 0 && counts.numFailedTests === 0) failed += 1;
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
