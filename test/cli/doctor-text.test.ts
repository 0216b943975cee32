import { expect, test } from "vitest";
import { resultText, summaryText } from "../../src/cli/doctor-text.js";
import type { Result } from "../../src/doctor/check.js";

const results: Result[] = [
  {
    id: "name",
    cache: "pi",
    way: null,
    title: "Name",
    mark: "ok",
    text: "pi.local is 192.0.2.7, by multicast DNS",
    remedy: null,
  },
  {
    id: "host-key",
    cache: "pi",
    way: null,
    title: "Host key",
    mark: "failure",
    text: "no known_hosts file has the host key of pi.local:\n\u001b[31mED25519 SHA256:abc at 192.0.2.7",
    remedy: "Compare the fingerprint and confirm it: `nix-tether trust pi`",
  },
  {
    id: "login",
    cache: "pi",
    way: null,
    title: "Login",
    mark: "skipped",
    text: "waits for: Host key",
    remedy: null,
  },
  {
    id: "lingering",
    cache: null,
    way: null,
    title: "Lingering",
    mark: "warning",
    text: "off",
    remedy: "`loginctl enable-linger ada`",
  },
];
const plain = { colour: false, width: Infinity, unicode: true, several: false };
const text = (options: Partial<typeof plain>): string =>
  results.map((result) => resultText(result, { ...plain, ...options })).join("");

test("a line each, and what to do below it", () => {
  expect(text({})).toBe(
    `✓ Name: pi.local is 192.0.2.7, by multicast DNS
✗ Host key: no known_hosts file has the host key of pi.local: ED25519 SHA256:abc at 192.0.2.7
  → Compare the fingerprint and confirm it: \`nix-tether trust pi\`
– Login: waits for: Host key
! Lingering: off
  → \`loginctl enable-linger ada\`
`,
  );
});

test("in ASCII, where nothing else can be shown, and for several caches", () => {
  expect(text({ unicode: false, several: true })).toBe(
    `ok   pi: Name: pi.local is 192.0.2.7, by multicast DNS
FAIL pi: Host key: no known_hosts file has the host key of pi.local: ED25519 SHA256:abc at 192.0.2.7
     > Compare the fingerprint and confirm it: \`nix-tether trust pi\`
-    pi: Login: waits for: Host key
!    Lingering: off
     > \`loginctl enable-linger ada\`
`,
  );
});

test("which of several ways it is about stands in front", () => {
  const [name] = results.map((result) => ({ ...result, way: "pi.vpn" }));
  const line = (several: boolean): string => resultText(name as Result, { ...plain, several });
  expect(line(false)).toBe("✓ pi.vpn: Name: pi.local is 192.0.2.7, by multicast DNS\n");
  expect(line(true)).toBe("✓ pi, pi.vpn: Name: pi.local is 192.0.2.7, by multicast DNS\n");
});

test("an example that has lines of its own keeps them", () => {
  const remedy = 'Write one, for example:\n[caches.pi]\nhost = "pi.local"';
  expect(
    resultText({ ...(results[0] as Result), remedy }, plain)
      .split("\n")
      .slice(1),
  ).toEqual(["  → Write one, for example:", "      [caches.pi]", '      host = "pi.local"', ""]);
});

test("on a narrow terminal it is broken between words, never within a command", () => {
  const lines = text({ width: 45 }).trimEnd().split("\n");
  expect(lines).toContain("    `nix-tether trust pi`");
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(45);
});

test("colour is on the mark alone", () => {
  expect(text({ colour: true })).toContain("\u001b[32m✓\u001b[39m Name: pi.local");
});

test("the end says how much there is to do", () => {
  expect(summaryText(results)).toBe("1 thing to mend, and 1 remark.\n");
  expect(summaryText(results.slice(0, 1))).toBe("All is well.\n");
  expect(summaryText(results.slice(3))).toBe("All is well, and 1 remark.\n");
});
