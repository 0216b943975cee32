/// <reference lib="dom" />
// A real browser without a window, with a profile that is thrown away: Debian's chromium-headless-shell.

import { type Browser, chromium, type Page } from "playwright-core";

/** Starts it. `hosts` are names that lead to this machine. */
export function startBrowser(hosts: readonly string[] = []): Promise<Browser> {
  const rules = hosts.map((host) => `MAP ${host} 127.0.0.1`).join(",");
  return chromium.launch({
    executablePath: "/usr/bin/chromium-headless-shell",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      `--host-resolver-rules=${rules}`,
    ],
  });
}

/** Everything that goes wrong in a page from now on: errors, what its policy forbids, requests that fail. */
export function troublesOf(page: Page): string[] {
  const troubles: string[] = [];
  page.on("pageerror", (error) => troubles.push(String(error)));
  page.on("console", (message) => {
    if (message.type() !== "log") troubles.push(`${message.type()}: ${message.text()}`);
  });
  page.on("requestfailed", (request) => troubles.push(`failed: ${request.url()}`));
  return troubles;
}

/** The contrast of each text on the page with what is behind it (WCAG 2's ratio), the least first. */
export function contrasts(page: Page): Promise<{ readonly text: string; readonly ratio: number }[]> {
  return page.evaluate(() => {
    const channels = (colour: string): number[] => (colour.match(/[\d.]+/g) ?? []).map(Number);
    const luminance = (colour: string): number => {
      const [red = 0, green = 0, blue = 0] = channels(colour).map((value) => {
        const part = value / 255;
        return part <= 0.040_45 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const ground = (element: Element): string => {
      const { backgroundColor } = getComputedStyle(element);
      const parent = element.parentElement;
      return parent !== null && channels(backgroundColor)[3] === 0 ? ground(parent) : backgroundColor;
    };
    return [...document.querySelectorAll<HTMLElement>("body *")]
      .filter((element) =>
        [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent?.trim()),
      )
      .filter((element) => element.checkVisibility())
      .map((element) => {
        const [dark = 0, light = 0] = [
          luminance(getComputedStyle(element).color),
          luminance(ground(element)),
        ].toSorted((a, b) => a - b);
        return { text: element.innerText, ratio: (light + 0.05) / (dark + 0.05) };
      })
      .toSorted((a, b) => a.ratio - b.ratio);
  });
}
