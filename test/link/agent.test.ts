import { describe, expect, test } from "vitest";
import { guessedPlaces, namedPlaces } from "../../src/link/agent.js";

describe("namedPlaces", () => {
  const env = { SSH_AUTH_SOCK: "/tmp/env.sock" };

  test("an explicit setting stands alone", () => {
    expect(namedPlaces({ setting: "/run/my.sock", env })).toMatchObject({
      candidates: [{ socket: "/run/my.sock" }],
      guess: false,
    });
  });

  test("none means none", () => {
    expect(namedPlaces({ setting: "none", env })).toBe("off");
  });

  test("otherwise the environment, then guessing", () => {
    expect(namedPlaces({ setting: null, env })).toMatchObject({
      candidates: [{ socket: "/tmp/env.sock" }],
      guess: true,
    });
    expect(namedPlaces({ setting: null, env: {} })).toEqual({ candidates: [], guess: true });
    expect(namedPlaces({ setting: null, env: { SSH_AUTH_SOCK: "" } })).toEqual({
      candidates: [],
      guess: true,
    });
  });
});

describe("guessedPlaces", () => {
  const sockets = (variables: string): string[] =>
    guessedPlaces(variables, "/run/user/7").map((candidate) => candidate.socket);

  test("the user manager's variable comes before the usual sockets", () => {
    const found = sockets("HOME=/home/ann\nSSH_AUTH_SOCK=/run/user/7/ssh-agent.socket\nXSSH_AUTH_SOCK=/no\n");
    expect(found[0]).toBe("/run/user/7/ssh-agent.socket");
    expect(found).toContain("/run/user/7/gnupg/S.gpg-agent.ssh");
    expect(found).not.toContain("/no");
  });

  test("undoes systemctl's quoting", () => {
    expect(sockets("SSH_AUTH_SOCK=$'/run/a\\'b c'\n")[0]).toBe("/run/a'b c");
  });

  test("only the usual sockets where the manager says nothing", () => {
    expect(sockets("HOME=/home/ann\n").every((socket) => socket.startsWith("/run/user/7/"))).toBe(true);
  });
});
