// The units in systemd/, as they stand, under a real user manager, with the real daemon.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { override, show, userSession } from "../support/user-session.js";

const session = userSession();

test("systemd finds no fault in them", async () => {
  await session.run(`systemd-analyze --user verify ~/.config/systemd/user/*`);
});

test("enabled, started, asked and stopped", async () => {
  const output = await session.run(`
    systemctl --user enable --now nix-tether.socket nix-tether.service 2>/dev/null
    ${show(".service", "ActiveState", "StatusText", "NRestarts")}
    curl --silent --fail http://127.0.0.1:37515/pi/nix-cache-info
    nix-tether() { ~/.local/bin/nix-tether "$@"; }
    nix-tether status --json | grep -o '"state":[^,]*'
    stat --format='%a %n' $XDG_RUNTIME_DIR/nix-tether $XDG_RUNTIME_DIR/nix-tether/control.sock
    systemctl --user stop nix-tether.service 2>/dev/null
    ${show(".service", "ActiveState", "Result")}
    [ -e $XDG_RUNTIME_DIR/nix-tether ] || echo "no runtime folder"
  `);
  expect(output).toMatch(/^ActiveState=active$/m);
  expect(output).toMatch(/^StatusText=.*pi/m);
  expect(output).toMatch(/^NRestarts=0$/m);
  expect(output).toContain("StoreDir: /nix/store");
  expect(output).toMatch(/"state": ?"(offline|connecting|waiting)"/);
  expect(output).toMatch(/^700 \/run\/user\/65534\/nix-tether$/m);
  expect(output).toMatch(/^600 \/run\/user\/65534\/nix-tether\/control.sock$/m);
  expect(output).toMatch(/^ActiveState=inactive$/m);
  expect(output).toMatch(/^Result=success$/m);
  expect(output).toContain("no runtime folder");
});

test("killed outright, it comes again, and a request made meanwhile waits and is answered", async () => {
  const output = await session.run(`
    systemctl --user start nix-tether.socket nix-tether.service
    systemctl --user kill --signal=KILL --kill-who=main nix-tether.service
    curl --silent --fail --max-time 20 http://127.0.0.1:37515/pi/nix-cache-info
    ${show(".service", "ActiveState", "NRestarts")}
  `);
  expect(output).toContain("StoreDir: /nix/store");
  expect(output).toMatch(/^NRestarts=1$/m);
});

test("dead and not coming again, it is unlisted all the same", async () => {
  await session.run(`
    mkdir ~/.config/systemd/user/nix-tether.service.d
    printf '[Service]\\nRestart=no\\n' >~/.config/systemd/user/nix-tether.service.d/once.conf
    systemctl --user daemon-reload
    systemctl --user start nix-tether.socket nix-tether.service
    # Held still, so that it can not empty the file itself.
    systemctl --user kill --signal=STOP --kill-who=main nix-tether.service
    echo 'extra-substituters = http://127.0.0.1:37515/pi?priority=30' >~/${override}
    systemctl --user kill --signal=KILL --kill-who=main nix-tether.service
    for i in $(seq 100); do systemctl --user is-failed --quiet nix-tether.service && break; sleep 0.1; done
  `);
  expect(await readFile(join(session.home, override), "utf8")).not.toContain("extra-substituters");
});

test("a wrong configuration and a missing program are told once, not retried, and Nix is answered", async () => {
  const answer = `curl --silent --max-time 30 --retry 5 --retry-all-errors --output /dev/null --write-out 'answer %{http_code}\\n' http://127.0.0.1:37515/pi/x.narinfo`;
  const output = await session.run(`
    printf '[caches.pi]\\nhots = "typo"\\n' >~/.config/nix-tether/config.toml
    systemctl --user start nix-tether.service 2>/dev/null || echo "not started"
    sleep 1.5
    ${show(".service", "Result", "NRestarts", "ExecMainStatus")}
    ${answer}
    mv ~/.local/bin/nix-tether ~/elsewhere
    # What was asked has made for some starts.
    systemctl --user reset-failed nix-tether.service
    systemctl --user start nix-tether.service 2>/dev/null || echo "not started either"
    sleep 1.5
    ${show(".service", "NRestarts", "ExecMainStatus")}
    ${answer}
  `);
  expect(output.trim().split("\n")).toEqual([
    "not started",
    "Result=exit-code",
    "NRestarts=0",
    "ExecMainStatus=2",
    "answer 404",
    "not started either",
    "NRestarts=0",
    "ExecMainStatus=127",
    "answer 404",
  ]);
});

test("a farm runs as a service with real git and Nix, and its timer says when it does next", async () => {
  const output = await session.run(`
    cd ~; export NIX_STORE_DIR=~/nix/store NIX_STATE_DIR=~/nix/var NIX_LOG_DIR=~/nix/log NIX_CONF_DIR=~/nix/conf NIX_REMOTE=local
    mkdir -p nix/conf; printf 'sandbox = false\\nsubstituters =\\n' >nix/conf/nix.conf
    git init -q --shared=group --bare repo
    git init -q input; cd input; git config --global user.name Ada; git config --global user.email ada@example.org
    echo '{ outputs = _: { }; }' >flake.nix; git add .; git commit -qm begin
    git clone -q ~/repo ~/work 2>/dev/null; cd ~/work
    sed "s|@HOME@|$HOME|" >flake.nix <<'NIX'
      { inputs.more.url = "git+file://@HOME@/input"; outputs = _: { packages.x86_64-linux.hello = builtins.derivation {
        name = "hello"; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" "echo hello >$out" ];
      }; }; }
NIX
    git add .; git commit -qm begin; git push -q origin HEAD
    printf '[farms.home]\\nrepository = "%s"\\nattributes = ["packages.x86_64-linux.hello"]\\n' ~/repo >~/.config/nix-tether/config.toml
    systemctl --user import-environment NIX_STORE_DIR NIX_STATE_DIR NIX_LOG_DIR NIX_CONF_DIR NIX_REMOTE
    systemctl --user start nix-tether-farm@home.service
    ${show("-farm@home.service", "Result", "ExecMainStatus")}
    cat ~/.local/state/nix-tether/farms/home/good/packages.x86_64-linux.hello
    git -C ~/repo log --format=%s -1
    systemctl --user start nix-tether-farm@home.timer
    ~/.local/bin/nix-tether farm list
    systemctl --user start nix-tether-farm@other.service 2>/dev/null || echo "not started"
    ${show("-farm@other.service", "ExecMainStatus", "NRestarts")}
  `);
  expect(output.trim().split("\n")).toEqual([
    "Result=success",
    "ExecMainStatus=0",
    "hello",
    // A push into a repository that a group shares.
    "flake.lock: Update",
    expect.stringMatching(/^FARM +LAST RUN +RESULT/),
    expect.stringMatching(/^home .*all is well, 1 of 1 build good +[A-Z][a-z]{2} 20/),
    "not started",
    "NRestarts=0",
    "ExecMainStatus=2",
  ]);
});

test("a static cache is served and collected as services", async () => {
  const output = await session.run(`
    mkdir -p ~/nix-cache/nar; cd ~/nix-cache
    echo "StoreDir: /nix/store" >nix-cache-info
    echo old >nar/old.nar; touch --date="30 days ago" nar/old.nar
    echo new >nar/new.nar
    printf '[static.disk]\\npath = "%s"\\nolder-than = "14d"\\n' ~/nix-cache >~/.config/nix-tether/config.toml
    systemctl --user start nix-tether-gc@disk.service
    ${show("-gc@disk.service", "Result", "ExecMainStatus")}
    ls -A . nar
    systemctl --user start nix-tether-gc@disk.timer
    ${show("-gc@disk.timer", "ActiveState")}
    unit=nix-tether-serve@$(systemd-escape --path ~/nix-cache).service
    mkdir ~/.config/systemd/user/$unit.d
    printf '[Service]\\nEnvironment=LISTEN=127.0.0.1:38089\\n' >~/.config/systemd/user/$unit.d/listen.conf
    systemctl --user daemon-reload
    systemctl --user start $unit
    curl --silent --fail --retry 20 --retry-connrefused --retry-delay 1 http://127.0.0.1:38089/nar/new.nar
    systemctl --user stop $unit
    systemctl --user show --property=Result,ExecMainStatus $unit
  `);
  expect(output.trim().split("\n")).toEqual([
    "Result=success",
    "ExecMainStatus=0",
    ".:",
    "nar",
    "nix-cache-info",
    "",
    "nar:",
    "new.nar",
    "ActiveState=active",
    "new",
    "Result=success",
    "ExecMainStatus=0",
  ]);
});
