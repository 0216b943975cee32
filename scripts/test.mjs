// `npm test`: sets up what the tests need, runs every test, and ends with one line that counts them.
import { spawn, spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";

const root = path.dirname(import.meta.dirname);
const isRoot = process.getuid?.() === 0;
const maxFilesAgain = 3;
const maxMsAgain = 100_000;

function mustRun(command, args) {
  const { error, status } = spawnSync(command, args, { cwd: root, stdio: "inherit" });
  if (error) throw error;
  if (status === 0) return;
  console.error(`npm test: ${command} ${args.join(" ")} failed with exit code ${status}`);
  process.exit(1);
}

/**
 * Runs one of vitest's projects, or what `only` names of it; its output goes to `out`. Resolves to what came of each file, or
 * null where it did not get that far.
 */
async function runProject(project, folder, out, only = process.argv.slice(2)) {
  const report = path.join(folder, `${project}.json`);
  rmSync(report, { force: true });
  const vitest = path.join(root, "node_modules", "vitest", "vitest.mjs");
  const flags = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  // Files may be asked for by name, and a project have none of them.
  const args = [vitest, "run", "--project", project, "--passWithNoTests", ...flags, ...only];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", out, out] });
  const status = await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  try {
    const results = JSON.parse(readFileSync(report, "utf8")).testResults.map(resultOf);
    // Something went wrong outside of every test.
    if (status !== 0 && !results.some(({ failures }) => failures.length > 0)) return null;
    return { project, files: results };
  } catch {
    return null;
  }
}

/** Of one file: how many tests passed, and what failed. A file that could not even start is one failure without a test. */
function resultOf({ name, status, message, assertionResults, startTime, endTime }) {
  const passed = assertionResults.filter((test) => test.status === "passed").length;
  const failures = assertionResults
    .filter((test) => test.status === "failed")
    .map((test) => ({ test: test.fullName, ms: test.duration ?? 0, why: test.failureMessages.join("\n") }));
  if (status === "failed" && failures.length === 0) {
    failures.push({ test: null, ms: endTime - startTime, why: message });
  }
  return { file: path.relative(root, name), passed, failures };
}

async function runInTurn(projects, folder, out) {
  const results = [];
  for (const project of projects) results.push(await runProject(project, folder, out));
  return results;
}

/**
 * Many tests wait for what happens on a network within seconds, and several files run at once: what fails beside the others
 * is run once more alone, and said to have been. More than a few at once are no accident, and CI has no time for long ones.
 */
async function runAgainAlone(results, folder) {
  const failed = results.flatMap(({ project, files }) =>
    files.filter(({ failures }) => failures.length > 0).map((result) => ({ project, result })),
  );
  const ms = failed
    .flatMap(({ result }) => result.failures)
    .reduce((total, failure) => total + failure.ms, 0);
  if (failed.length > maxFilesAgain || ms > maxMsAgain) return [];
  const said = [];
  for (const { project, result } of failed) {
    const { file, failures } = result;
    console.log(`\nAgain, alone: ${file}`);
    const tests = failures.map(({ test }) => test);
    const isWhole = tests.includes(null);
    const pattern = tests.map((test) => test?.replace(/[^\w ]/g, "\\$&")).join("|");
    const only = isWhole ? [file] : [file, "--testNamePattern", `^ ?(?:${pattern})$`];
    const again = await runProject(project, folder, "inherit", only);
    const [found] = again?.files ?? [];
    if (found === undefined || found.failures.length > 0 || found.passed < tests.length) continue;
    said.push(
      ...failures.map((failure) => `failed beside the others and passed alone: ${textOf(file, failure)}`),
    );
    result.passed = isWhole ? found.passed : result.passed + found.passed;
    result.failures = [];
  }
  return said;
}

function textOf(file, { test, why }) {
  return [file, test, why].filter((part) => part !== null && part !== "").join(": ");
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
  const whole = results.filter((result) => result !== null);
  const passedAlone = isRoot ? await runAgainAlone(whole, folder) : [];
  const files = whole.flatMap((result) => result.files);
  const failures = files.flatMap((result) => result.failures.map((failure) => textOf(result.file, failure)));
  for (const text of passedAlone) console.log(`\n${text}`);
  for (const text of failures) console.log(`\nfailed: ${text}`);
  const passed = files.reduce((total, result) => total + result.passed, 0);
  const failed = failures.length + results.length - whole.length;
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
