// The status page of a real daemon in a real browser, while a real machine comes and goes behind it.

import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, expect, onTestFailed, onTestFinished, test } from "vitest";
import { contrasts, startBrowser, troublesOf } from "../support/browser.js";
import { cacheTable, type DaemonHome } from "../support/daemon.js";
import { type DaemonFixture, makeDaemonFixture } from "../support/daemon-fixture.js";
import { ask } from "../support/http.js";
import { freePort, type Sshd } from "../support/sshd.js";

/** What would be done if a word of the report became markup. */
const hostile = "<img/src=x/onerror=document.title='owned'>";

let fixture: DaemonFixture;
let sshd: Sshd;
let home: DaemonHome;
let browser: Browser;
let page: Page;
let troubles: string[];
let large: string;

const hashPart = (path: string): string => path.slice("/nix/store/".length, "/nix/store/".length + 32);
const row = (table: string, name: string | RegExp): ReturnType<Page["locator"]> =>
  page.getByRole("table", { name: table }).getByRole("row", { name });
const cells = async (table: string, name: string | RegExp): Promise<string[]> =>
  row(table, name).getByRole("cell").allInnerTexts();

beforeAll(async () => {
  fixture = await makeDaemonFixture();
  large = await fixture.far.store.addFile("large", Buffer.alloc(48 << 20, "many bytes "));
  sshd = await fixture.sshd();
  home = await fixture.home();
  const strange = fixture.cache(sshd, { host: hostile, port: await freePort() });
  const way = cacheTable("pi.ways", { host: sshd.address, uploads: false }).replace(/^\[.*\]$/m, "[$&]");
  const pi = cacheTable("pi", fixture.cache(sshd, { host: "pi.invalid" })) + way;
  await home.configure(pi + cacheTable("strange", strange));
  home.start();
  await home.untilListed(["pi"]);
  browser = await startBrowser(["rebound.example"]);
});

afterAll(async () => {
  await browser?.close();
  await fixture?.dispose();
});

beforeEach(async () => {
  onTestFailed(async () => {
    process.stderr.write(`${home.said().slice(-3_000)}\n${await page.innerText("body").catch(String)}\n`);
  });
  const context = await browser.newContext({ colorScheme: "light" });
  page = await context.newPage();
  onTestFinished(() => context.close());
  troubles = troublesOf(page);
  await page.goto(`http://127.0.0.1:${home.port}/`);
});

test("shows the caches, and nothing on it goes wrong or becomes markup", async () => {
  await expect
    .poll(() => cells("Caches", /^pi/))
    .toMatchObject(
      [
        /^online, \d+ s$/m,
        "127.0.0.1\nsocket, reached as 127.0.0.1, without uploads",
        "yes",
        "–\n0 of 0",
        "0 B",
      ].map((text) => (typeof text === "string" ? text : expect.stringMatching(text))),
    );
  await expect.poll(() => row("Caches", /^strange/).innerText()).toContain(hostile);
  expect(await page.getByRole("status").innerText()).toBe("1 of 2 online");
  expect(await page.title()).toBe("1/2 nix-tether");
  expect(await page.locator("img").count()).toBe(0);
  expect(await page.getByRole("columnheader").allInnerTexts()).toEqual([
    "Cache",
    "State",
    "Address",
    "In Nix",
    "Hit rate",
    "Given",
  ]);
  expect(troubles).toEqual([]);
});

test("follows what happens without being loaded again: an answer, a transfer, a loss, the return", async () => {
  await expect.poll(() => cells("Caches", /^pi/)).toContain("yes");
  const path = `/pi/0/${hashPart(large)}.narinfo`;
  const { body } = await ask(home.port, path);
  await expect.poll(() => cells("Caches", /^pi/), { timeout: 10_000 }).toContain("100 %\n1 of 1");

  const url = /^URL: (.*)$/m.exec(body.toString())?.[1] ?? "";
  const request = http.get({ host: "127.0.0.1", port: home.port, path: `/pi/0/${url}`, agent: false });
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  response.on("error", () => undefined);
  await expect
    .poll(() => cells("On the way to Nix", /^large/), { timeout: 10_000 })
    .toContainEqual(expect.stringMatching(/^[\d.]+ MiB of 48\.0 MiB$/));
  expect(await page.getByRole("progressbar").count()).toBe(1);
  response.resume();
  await once(response, "end");
  await expect
    .poll(() => page.getByText("Nothing at this moment.").isVisible(), { timeout: 10_000 })
    .toBe(true);
  expect((await cells("Caches", /^pi/)).at(-1)).toContain("48.0 MiB");

  await sshd.kill("SIGKILL");
  await expect.poll(() => page.getByRole("status").innerText(), { timeout: 20_000 }).toBe("0 of 2 online");
  expect(await cells("Caches", /^pi/)).toContainEqual(
    expect.stringMatching(/^(waiting|offline), .*\n.*127\.0\.0\.1/),
  );
  await sshd.restart();
  await expect.poll(() => page.getByRole("status").innerText(), { timeout: 20_000 }).toBe("1 of 2 online");
  expect(troubles).toEqual([]);
});

test("fits a telephone, stays a table for a screen reader, and can be read in the light and in the dark", async () => {
  await page.setViewportSize({ width: 320, height: 640 });
  await expect.poll(() => cells("Caches", /^pi/)).toContain("yes");
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(320);
  expect(await page.getByRole("columnheader", { name: "In Nix" }).count()).toBe(1);
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    const [least] = await contrasts(page);
    // What WCAG asks for at its level AA.
    expect(least?.ratio, `${colorScheme}: ${least?.text}`).toBeGreaterThanOrEqual(4.5);
  }
});

test("asks only while it is looked at, and says when nobody answers", async () => {
  let asked = 0;
  page.on("request", () => (asked += 1));
  await expect.poll(() => asked, { timeout: 10_000 }).toBeGreaterThan(0);
  const hide = (hidden: boolean): Promise<unknown> =>
    page.evaluate((value) => {
      Object.defineProperty(document, "hidden", { value, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
  await hide(true);
  const before = asked;
  await page.waitForTimeout(5_000);
  expect(asked - before).toBeLessThanOrEqual(1);

  await page.route("**/status.json", (route) => route.abort());
  await hide(false);
  await expect.poll(() => page.getByRole("alert").innerText()).toContain("The daemon does not answer");
});

test("no other site reads it: not by a request, a script, a frame, or a name that leads here", async () => {
  const site = http.createServer((_request, response) =>
    response.writeHead(200, { "content-type": "text/html" }).end("<p>another site</p>"),
  );
  await once(site.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void site.close());
  const { port } = site.address() as AddressInfo;
  for (const origin of [`http://127.0.0.1:${port}`, `http://rebound.example:${port}`]) {
    await page.goto(origin);
    const got = await page.evaluate(async (target) => {
      const read = (mode: RequestMode): Promise<string> =>
        fetch(`${target}/status.json`, { mode }).then(
          (response) => response.text(),
          () => "refused",
        );
      const load = (tag: "script" | "iframe", url: string): Promise<string> =>
        new Promise((resolve) => {
          const element = document.createElement(tag);
          for (const type of ["load", "error"]) element.addEventListener(type, () => resolve(type));
          element.src = url;
          document.body.append(element);
        });
      const script = await load("script", `${target}/script.js`);
      await load("iframe", target);
      return [await read("cors"), await read("no-cors"), script];
    }, `http://127.0.0.1:${home.port}`);
    expect(got, origin).toEqual(["refused", expect.stringMatching(/^$|^refused$/), "error"]);
    const [, frame] = page.frames();
    expect(await frame?.content()).not.toContain("nix-tether");
  }
  const rebound = await page.goto(`http://rebound.example:${home.port}/`);
  expect([rebound?.status(), await page.innerText("body")]).toEqual([404, "not here\n"]);
});
