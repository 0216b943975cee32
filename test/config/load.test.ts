import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { configWarnings, loadConfig } from "../../src/config/load.js";
import type { Config } from "../../src/config/schema.js";
import { temporaryFolder } from "../support/temp-folder.js";

function load(content: string | Uint8Array): Promise<Config> {
  const file = path.join(temporaryFolder(), "config.toml");
  writeFileSync(file, content);
  return loadConfig(file, "/home/alice");
}

/** The error's message, with the file's path as FILE. */
async function complaint(content: string | Uint8Array): Promise<string> {
  const file = path.join(temporaryFolder(), "config.toml");
  writeFileSync(file, content);
  const error: unknown = await loadConfig(file, "/home/alice").catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: "TetherError", code: "config-invalid" });
  return (error as Error).message.replace(file, "FILE");
}

describe("a good configuration", () => {
  test("gets its defaults", async () => {
    expect(await load('[caches.pi]\nhost = "raspberrypi.local"\n')).toEqual({
      gateway: { port: 37515, "resume-wait": 20, "metrics-users": [] },
      caches: {
        pi: {
          type: "ssh",
          host: "raspberrypi.local",
          transport: "auto",
          "remote-socket": "/nix/var/nix/daemon-socket/socket",
          priority: 30,
          "public-keys": [],
          trusted: false,
          uploads: true,
          "only-when-asked": false,
          ways: [],
        },
      },
      static: {},
      uploads: {
        to: [],
        source: "hook",
        only: [],
        skip: [],
        "skip-available-in": [],
        derivations: false,
        "substitute-on-destination": false,
        "on-metered": false,
        "battery-level": 30,
      },
      farms: {},
    });
  });

  test("has ~/ expanded wherever a path may stand", async () => {
    const { caches } = await load(
      '[caches.pi]\nhost = "pi"\nidentity-file = ["~/.ssh/a", "/b"]\nidentity-agent = "~/agent"\nknown-hosts = "~/known"\n',
    );
    expect(caches["pi"]).toMatchObject({
      "identity-file": ["/home/alice/.ssh/a", "/b"],
      "identity-agent": "/home/alice/agent",
      "known-hosts": "/home/alice/known",
    });
  });

  test("may be empty, begin with a byte order mark, and have Windows line ends", async () => {
    expect((await load("")).caches).toEqual({});
    expect((await load('\ufeff[caches.pi]\r\nhost = "pi"\r\n')).caches["pi"]).toMatchObject({ host: "pi" });
  });
});

describe("wrong values", () => {
  test("are told all at once, in the order of the file, with line, key, what is there and what should be", async () => {
    const text = await complaint(`
[gateway]
port = 70000

[caches.pi]
host = ""
identity_file = "~/.ssh/id"   # a dash, not a bar
port = "22"
transport = "tcp"
public-keys = [
  "pi-1:AAAA",
  "no colon",
]
trusted = 1

[caches.nas]
priority = 3.5

[caches."my pi"]
host = "x"
`);
    expect(text).toBe(
      `FILE: 10 problems
  line 3: gateway.port: found 70000, expected a whole number from 1 to 65535
  line 6: caches.pi.host: found "", expected a host name, address or ssh alias
  line 7: caches.pi.identity_file: unknown key, did you mean "identity-file"?
  line 8: caches.pi.port: found "22", expected a whole number from 1 to 65535
  line 9: caches.pi.transport: found "tcp", expected "auto", "socket" or "stdio"
  line 10: caches.pi.public-keys[1]: found "no colon", expected a key such as "pi-1:base64…="
  line 14: caches.pi.trusted: found 1, expected true or false
  line 16: caches.nas.host: missing, expected a host name, address or ssh alias
  line 17: caches.nas.priority: found 3.5, expected a whole number from 0 to 1000
  line 19: caches."my pi": not a good name, expected a name of at most 32 letters, digits, "-" and "_", other than "control" and "metrics"`,
    );
  });

  test.each([
    ['[cache.pi]\nhost = "x"', 'line 1: cache: unknown key, did you mean "caches"?'],
    ['[pi]\nhost = "x"', "line 1: pi: unknown table, did you mean [caches.pi]?"],
    ['[caches]\nhost = "x"', 'line 2: caches.host: found "x", expected a table'],
    ["caches = 3", "line 1: caches: found 3, expected a table"],
    [
      '[caches.metrics]\nhost = "x"',
      'line 1: caches.metrics: not a good name, expected a name of at most 32 letters, digits, "-" and "_", other than "control" and "metrics"',
    ],
    [
      '[caches.control]\nhost = "x"',
      'line 1: caches.control: not a good name, expected a name of at most 32 letters, digits, "-" and "_", other than "control" and "metrics"',
    ],
    [
      '[caches.pi]\nhost = "-oProxyCommand=x"',
      'line 2: caches.pi.host: found "-oProxyCommand=x", expected a host name, address or ssh alias',
    ],
    [
      '[caches.pi]\nhost = "x"\nidentity-file = "id"',
      'line 3: caches.pi.identity-file: found "id", expected an absolute path (a leading ~/ means your home)',
    ],
    [
      '[caches.pi]\nhost = "x"\npublic-keys = ["a#b:AAAA"]',
      'line 3: caches.pi.public-keys[0]: found "a#b:AAAA", expected a key such as "pi-1:base64…="',
    ],
    [
      '[caches.pi]\nhost = "x"\nnetworks = ["home", "gateway:router"]',
      'line 3: caches.pi.networks[1]: found "gateway:router", expected the networks that it is for: names of NetworkManager\'s connections, "ssid:NAME", "gateway:ADDRESS"',
    ],
    [
      '[caches.pi]\nhost = "x"\n[[caches.pi.ways]]\nhost = "y"\n[[caches.pi.ways]]\nhost = "z"\nupload = false',
      'line 7: caches.pi.ways[1].upload: unknown key, did you mean "uploads"?',
    ],
    [
      '[caches.pi]\nhost = "x"\nnetworks = []',
      'line 3: caches.pi.networks: found a list, expected the networks that it is for: names of NetworkManager\'s connections, "ssid:NAME", "gateway:ADDRESS"',
    ],
    [
      "[gateway]\nxyz = 1979-05-27",
      "line 2: gateway.xyz: unknown key; known here: port, resume-wait, metrics-users",
    ],
    [
      '[caches.pi]\nhost = "x"\nuser = "a\\u001b[31mb c"',
      'line 3: caches.pi.user: found "ab c", expected a login name',
    ],
  ])("%j", async (content, problem) => {
    expect(await complaint(content)).toBe(`FILE: ${problem}`);
  });
});

describe("what is no configuration at all", () => {
  test.each([
    ["a = 1\na = 2", "line 2, column 1: trying to redefine an already defined table or value"],
    ['[caches.pi]\nhost = "x', "line 2, column"],
    ["port = 99999999999999999999", "line 1, column 8: integer value cannot be represented losslessly"],
  ])("%j names the place", async (content, problem) => {
    expect(await complaint(content)).toContain(`FILE: ${problem}`);
  });

  test("bytes that are not UTF-8", async () => {
    expect(await complaint(new Uint8Array([0x61, 0xff]))).toBe("FILE: the file is not UTF-8 text");
  });

  test("a missing file, with an example that works", async () => {
    const file = path.join(temporaryFolder(), "config.toml");
    const error = (await loadConfig(file).catch((thrown: unknown) => thrown)) as Error & { remedy: string };
    expect(error).toMatchObject({ code: "config-missing", message: `there is no configuration at ${file}` });
    const { caches } = await load(error.remedy.slice(error.remedy.indexOf("[")));
    expect(caches["pi"]).toMatchObject({ host: "raspberrypi.local" });
  });

  test("a folder, a pipe that nobody writes to, a giant, a path through a file", async () => {
    const folder = temporaryFolder();
    const pipe = path.join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    const giant = path.join(folder, "giant");
    writeFileSync(giant, "#".repeat(1024 * 1024 + 1));
    mkdirSync(path.join(folder, "folder"));
    const whyNot = async (file: string): Promise<string> => {
      const error: unknown = await loadConfig(file).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: "config-unreadable" });
      return (error as Error).message.replace(folder, "");
    };
    expect(await whyNot(path.join(folder, "folder"))).toBe(
      "the configuration /folder can not be read: it is a folder",
    );
    expect(await whyNot(pipe)).toBe("the configuration /pipe can not be read: it is not a regular file");
    expect(await whyNot(giant)).toBe("the configuration /giant can not be read: it is larger than 1 MiB");
    expect(await whyNot(path.join(giant, "x"))).toContain("ENOTDIR");
  });
});

describe("uploads", () => {
  const pi = '[caches.pi]\nhost = "x"\n[uploads]\n';

  test("go to caches that there are", async () => {
    expect((await load(`${pi}to = ["pi"]`)).uploads).toMatchObject({ to: ["pi"] });
    expect(await complaint(`${pi}to = ["pie"]`)).toBe(
      'FILE: uploads.to: no cache is named "pie"; did you mean pi?',
    );
    expect(await complaint('[uploads]\nto = ["pi"]')).toBe(
      'FILE: uploads.to: no cache is named "pi"; there are: none',
    );
    expect(await complaint(`${pi}to = "pi"`)).toContain('uploads.to: found "pi", expected a list');
  });

  test("are kept back by name, size and what others have", async () => {
    const filters = [
      'only = ["hello-*"]',
      'skip = ["*-source", "x?"]',
      'max-size = "1.5G"',
      'skip-available-in = ["https://cache.nixos.org/"]',
    ].join("\n");
    expect((await load(`${pi}to = ["pi"]\n${filters}`)).uploads).toMatchObject({
      only: ["hello-*"],
      skip: ["*-source", "x?"],
      "max-size": 1.5 * 1024 ** 3,
      "skip-available-in": ["https://cache.nixos.org/"],
    });
    for (const [line, says] of [
      ['skip = ["a/b"]', 'skip[0]: found "a/b", expected a list of patterns for names'],
      ['max-size = "2 GB"', 'max-size: found "2 GB", expected a size such as'],
      [
        'skip-available-in = ["cache.nixos.org"]',
        'expected a list of URLs such as "https://cache.nixos.org"',
      ],
      [
        'skip-available-in = ["https://me:secret@cache"]',
        "skip-available-in: found a list, expected a list of",
      ],
      ['source = "both"', 'source: found "both", expected "hook" or "watch"'],
    ] as const) {
      expect(await complaint(`${pi}${line}`)).toContain(says);
    }
  });

  test("are signed with a key that is there and that nobody else can read", async () => {
    const key = path.join(temporaryFolder(), "key");
    const source = `${pi}to = ["pi"]\nsigning-key = "${key}"`;
    expect(await complaint(source)).toContain(`uploads.signing-key: ${key} can not be used: ENOENT`);
    writeFileSync(key, "name:secret", { mode: 0o600 });
    expect(configWarnings(await load(source))).toEqual([]);
    chmodSync(key, 0o640);
    expect(configWarnings(await load(source))).toEqual([
      `uploads.signing-key: others can read ${key}, and so sign in your name: chmod go= ${key}`,
    ]);
  });
});

test("what can hardly be meant is warned of", async () => {
  expect(configWarnings(await load(""))).toEqual([
    "the configuration names no caches, so there is nothing to look for",
  ]);
  expect(configWarnings(await load('[caches.pi]\nhost = "x"\ninstance = "y"'))).toEqual([
    "caches.pi.instance has no effect without caches.pi.service",
  ]);
  expect(configWarnings(await load('[caches.pi]\nhost = "x"'))).toEqual([]);
});

describe("HTTP caches", () => {
  const nas = '[caches.nas]\ntype = "http"\nurl = "http://nas.local/cache"\n';
  const pi = '[caches.pi]\nhost = "pi.local"\n';

  test("have a URL, the keys of every cache, and a netrc file in the home", async () => {
    const { caches } = await load(`${nas}netrc-file = "~/netrc"\nnetworks = ["home"]\npriority = 20\n`);
    expect(caches["nas"]).toEqual({
      type: "http",
      url: "http://nas.local/cache",
      "netrc-file": "/home/alice/netrc",
      networks: ["home"],
      "only-when-asked": false,
      ways: [],
      priority: 20,
      "public-keys": [],
      trusted: false,
    });
  });

  test.each([
    ['[caches.nas]\ntype = "ftp"\n', 'line 2: caches.nas.type: found "ftp", expected "ssh" or "http"'],
    ['[caches.nas]\ntype = "http"\n', "caches.nas.url: missing, expected a URL"],
    [`${nas}host = "x"\n`, 'line 4: caches.nas.host: only for a cache with type = "ssh"'],
    [`${pi}url = "http://x"\n`, 'line 3: caches.pi.url: only for a cache with type = "http"'],
    [`${nas}netrcfile = "/x"\n`, 'line 4: caches.nas.netrcfile: unknown key, did you mean "netrc-file"?'],
    [`${nas}via = "po"\n${pi}`, 'caches.nas.via: no cache is named "po"; there are: nas, pi'],
    [`${nas}via = "nas"\n`, 'caches.nas.via: nas is of type "http"'],
    [`${nas}[[caches.nas.ways]]\nurl = "http://x"\nvia = "po"\n`, 'caches.nas.via: no cache is named "po"'],
    [
      `${nas}[uploads]\nto = ["nas"]\n`,
      'uploads.to: nas is of type "http", and a web server takes no uploads',
    ],
    ['[caches.nas]\ntype = "http"\nurl = "ftp://nas/"\n', "expected a URL"],
    ['[caches.nas]\ntype = "http"\nurl = "http://nas/?x=1"\n', "expected a URL"],
  ])("%j is refused", async (text, message) => {
    await expect(load(text)).rejects.toThrow(message);
  });

  test("a password in a URL is refused, and not repeated", async () => {
    const text = '[caches.nas]\ntype = "http"\nurl = "http://ada:s3cret@nas.local/cache"\n';
    await expect(load(text)).rejects.toThrow("these belong into a netrc file");
    await expect(load(text)).rejects.not.toThrow("s3cret");
  });
});
