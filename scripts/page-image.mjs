// Draws docs/images/status-page.png: the status page as it is, with a report that is made up. Needs chromium-headless-shell.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { chromium } from "playwright-core";

const root = join(import.meta.dirname, "..");
const image = join(root, "docs", "images", "status-page.png");
const ago = (seconds) => new Date(Date.now() - seconds * 1000).toISOString();
const MiB = 2 ** 20;

const nothingYet = { resumed: 0, abandoned: 0, losses: 0, unsigned: 0, transfers: [], retryAt: null };
const pi = {
  ...nothingYet,
  type: "ssh",
  state: "online",
  host: "raspberrypi.local",
  address: "192.168.1.20",
  port: 22,
  since: ago(8_000),
  reason: null,
  listed: true,
  transport: "socket",
  lookups: 412,
  hits: 397,
  narBytes: 1_840 * MiB,
};
const attic = {
  ...nothingYet,
  type: "ssh",
  state: "offline",
  host: "attic.local",
  address: null,
  port: null,
  since: ago(90_000),
  reason: "nobody here answers to attic.local",
  listed: false,
  transport: null,
  lookups: 0,
  hits: 0,
  narBytes: 0,
};

function report() {
  pi.narBytes += 21 * MiB;
  const transfers = [
    {
      path: "/nix/store/h2s9vq0yd1k4mxwz3ra7cjl8p5bn6f0g-linux-6.12.9",
      size: 141 * MiB,
      sent: 96 * MiB,
      since: ago(5),
      waiting: false,
    },
    {
      path: "/nix/store/4q8zjv2m0sd7ky1wfr5xab9clnhg3pi6-clang-19.1.7-lib",
      size: 212 * MiB,
      sent: 18 * MiB,
      since: ago(1),
      waiting: false,
    },
  ];
  const target = {
    waiting: 17,
    setAside: 0,
    uploaded: 204,
    bytes: 612 * MiB,
    left: 340 * MiB,
    rate: 9.4 * MiB,
    state: "copying",
    reason: null,
    now: "/nix/store/w5k1c0rj9z8qdvn7ysm2xahl4gfbpi36-firefox-unwrapped-146.0",
    going: { paths: 4, size: 260 * MiB, sent: 101 * MiB },
  };
  return {
    version: 1,
    pid: 1042,
    since: ago(200_000),
    caches: { pi: { ...pi, transfers }, attic },
    override: { path: "", listed: ["pi"] },
    uploads: { waiting: 17, uploaded: 204, failed: 0, targets: { pi: target } },
    warnings: [
      {
        code: "unsigned-paths",
        cache: "pi",
        text: "3 paths of pi carry no signature, and Nix ignores them. Sign what is there with `nix store sign --all`.",
        since: ago(60),
      },
    ],
  };
}

const types = { html: "text/html", css: "text/css", js: "text/javascript" };
const server = http.createServer(({ url = "" }, response) => {
  const name = url === "/" ? "index.html" : url.slice(1);
  const type = types[name.split(".").at(-1)];
  if (type === undefined) response.end(JSON.stringify(report()));
  else response.writeHead(200, { "content-type": type }).end(readFileSync(join(root, "page", name)));
});
await once(server.listen(0, "127.0.0.1"), "listening");
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium-headless-shell",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});
try {
  const page = await browser.newPage({ viewport: { width: 960, height: 640 }, colorScheme: "light" });
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  // The second report gives the first rates.
  await page.getByText("/s", { exact: false }).nth(1).waitFor();
  await page.screenshot({ path: image, fullPage: true });
} finally {
  await browser.close();
  server.close();
}
