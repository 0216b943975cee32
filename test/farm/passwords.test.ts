import { expect, test } from "vitest";
import { withoutPasswords } from "../../src/farm/passwords.js";

test.each([
  ["https://me:secret@git.example.org/conf", "https://…@git.example.org/conf"],
  ["fatal: 'https://ghp_token@git.example.org/': no", "fatal: 'https://…@git.example.org/': no"],
  ["git+https://token@x/a and http://u:p@y/b", "git+https://…@x/a and http://…@y/b"],
  ["ssh://git@git.example.org/conf", "ssh://git@git.example.org/conf"],
  ["git+ssh://git:secret@git.example.org/conf", "git+ssh://…@git.example.org/conf"],
  ["git@git.example.org:conf", "git@git.example.org:conf"],
  ["https://git.example.org/a@b", "https://git.example.org/a@b"],
])("%s", (text, shown) => {
  expect(withoutPasswords(text)).toBe(shown);
});
