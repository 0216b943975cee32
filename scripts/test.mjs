// `npm test`: sets up what the tests need, runs every test, and ends with one line that counts them.
import { spawn, spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";

const root = path.dirname(import.meta.dirname);
const isRoot = process.getuid?.() === 0;

function mustRun(command, args) {
  const { error, status } = spawnSync(command, args, { cwd: root, stdio: "inherit" });
  if (error) throw error;
  if (status === 0) return;
  console.error(`npm test: ${command} ${args.join(" ")} failed with exit code ${status}`);
  process.exit(1);
}

/** Runs one of vitest's projects; its output goes to `out`. Resolves to how many tests passed and failed. */
async function runProject(project, folder, out) {
  const report = path.join(folder, `${project}.json`);
  const vitest = path.join(root, "node_modules", "vitest", "vitest.mjs");
  const flags = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const args = [vitest, "run", "--project", project, ...flags, ...process.argv.slice(2)];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", out, out] });
  const status = await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  try {
    const { numPassedTests: passed, numFailedTests } = JSON.parse(readFileSync(report, "utf8"));
    // A suite that could not even start counts as one failure.
    return { passed, failed: status !== 0 && numFailedTests === 0 ? 1 : numFailedTests };
  } catch {
    return { passed: 0, failed: 1 };
  }
}

async function runInTurn(projects, folder, out) {
  const results = [];
  for (const project of projects) results.push(await runProject(project, folder, out));
  return results;
}

mustRun(process.execPath, ["scripts/setup.mjs"]);
if (isRoot) {
  mustRun("bash", ["scripts/install-packages.sh"]);
  mustRun("bash", ["scripts/fetch-nix.sh", "trixie", "forky"]);
} else {
  console.log(
    "npm test: not root, so only the unit tests run. The others start sshd, nix-daemon and whole machines in\n" +
      "network namespaces: run `sudo npm test` for all of them.",
  );
}

const folder = mkdtempSync(path.join(os.tmpdir(), "nix-tether-test-"));
try {
  const results = [];
  if (isRoot) {
    // The lab mostly waits, for machines to boot and links to be found dead, so the others run beside it.
    const log = path.join(folder, "others.log");
    const fd = openSync(log, "w");
    const others = runInTurn(["unit", "integration"], folder, fd).finally(() => closeSync(fd));
    results.push(await runProject("lab", folder, "inherit"), ...(await others));
    process.stdout.write(readFileSync(log));
  } else {
    results.push(await runProject("unit", folder, "inherit"));
  }
  const sum = (key) => results.reduce((total, result) => total + result[key], 0);
  const [passed, failed] = [sum("passed"), sum("failed")];
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
