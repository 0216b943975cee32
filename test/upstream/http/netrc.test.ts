import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { authorizationFor, loginFor } from "../../../src/upstream/http/netrc.js";
import { temporaryFolder } from "../../support/temp-folder.js";

const file = `# for the caches
machine other.local login eve password wrong
machine NAS.local
  login ada
  password "pass \\"word\\"" # quoted
macdef init
cd /pub
machine nas.local login macro password macro

machine plain.local login bob password #1
default login everybody password guest
`;

test.each([
  ["nas.local", { name: "ada", password: 'pass "word"' }],
  ["plain.local", { name: "bob", password: "#1" }],
  ["other.local", { name: "eve", password: "wrong" }],
  ["stranger.example", null],
])("the login for %s", (host, login) => {
  expect(loginFor(host, file)).toEqual(login);
});

test.each(["", "machine", "machine a.local", "login x password y", "machine a.local login"])(
  "%j never throws, and offers nothing to others",
  (text) => {
    expect(loginFor("b.local", text)).toBeNull();
    expect(() => loginFor("a.local", text)).not.toThrow();
  },
);

test("becomes a header; the default file may be missing, a named one may not", async () => {
  const dir = temporaryFolder();
  const netrc = join(dir, "netrc");
  const missing = join(dir, "missing");
  writeFileSync(netrc, file);
  const header = `Basic ${Buffer.from('ada:pass "word"').toString("base64")}`;
  expect(await authorizationFor("nas.local", netrc, { mustBe: true })).toBe(header);
  expect(await authorizationFor("stranger.example", netrc, { mustBe: true })).toBeNull();
  expect(await authorizationFor("nas.local", missing, { mustBe: false })).toBeNull();
  for (const wrong of [missing, dir]) {
    await expect(authorizationFor("nas.local", wrong, { mustBe: true })).rejects.toMatchObject({
      code: "netrc-unreadable",
    });
  }
});
