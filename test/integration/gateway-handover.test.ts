// A listening socket that systemd holds: who asks before the gateway runs waits for it and is answered.

import { spawn } from "node:child_process";
import { once } from "node:events";

import { expect, onTestFinished, test } from "vitest";

import { compileProgram } from "../support/compile.js";
import { ask, type HttpAnswer } from "../support/http.js";
import { freePort } from "../support/sshd.js";

test("systemd-socket-activate hands its socket over with the first request in it", async () => {
  const runner = await compileProgram("test/support/gateway-runner.ts");
  onTestFinished(() => runner.remove());
  const port = await freePort();
  const command = ["-l", `127.0.0.1:${port}`, process.execPath, runner.file, String(port)];
  const child = spawn("systemd-socket-activate", command, { stdio: ["pipe", "pipe", "ignore"] });
  child.on("error", () => undefined);
  onTestFinished(() => void child.kill("SIGKILL"));
  let said = "";
  child.stdout.on("data", (piece: Buffer) => (said += piece.toString()));

  let answer: HttpAnswer | undefined;
  await expect
    .poll(async () => (answer = await ask(port, "/pi/nix-cache-info").catch(() => undefined)), {
      timeout: 10_000,
    })
    .toBeDefined();
  expect(answer?.status).toBe(200);
  expect(said).toBe(`listens on ${port}\n`);
  child.stdin.end();
  expect(await once(child, "exit")).toEqual([0, null]);
});
