// What the units in systemd/ do when the daemon can not start, hangs, is started twice, or finds its port taken: Nix is
// answered in each case, and nothing dead stays listed.

import { expect, test } from "vitest";
import { override, show, userSession } from "../support/user-session.js";

const session = userSession();

const gateway = "http://127.0.0.1:37515/pi";
/** Asks as Nix does: again after a connection that was reset. */
const ask = "curl --silent --max-time 40 --retry 5 --retry-all-errors";
const list = `echo 'extra-substituters = ${gateway}/0?priority=30' >~/${override}`;
const waitFor = (command: string): string =>
  `for i in $(seq 200); do ${command} && break; sleep 0.1; done; ${command}`;

test("a daemon that dies at every start is given up, and Nix is told that nothing is here", async () => {
  const output = await session.run(`
    mkdir -p ~/.config/systemd/user/nix-tether.service.d ~/.local/state/nix-tether
    printf '[Unit]\\nStartLimitBurst=3\\n' >~/.config/systemd/user/nix-tether.service.d/soon.conf
    systemctl --user daemon-reload
    systemctl --user start nix-tether.socket nix-tether.service
    mv ~/.local/bin/nix-tether ~/good
    printf '#!/bin/sh\\nexit 1\\n' >~/.local/bin/nix-tether
    chmod 755 ~/.local/bin/nix-tether
    # Held still, so that it can not empty the file itself; what unlists is broken as well.
    systemctl --user kill --signal=STOP --kill-who=main nix-tether.service
    ${list}
    systemctl --user kill --signal=KILL --kill-who=main nix-tether.service
    ${ask} --output /dev/null --write-out 'first %{http_code}\\n' ${gateway}/x.narinfo
    ${show(".service", "Result", "ActiveState", "NRestarts")}
    ${show("-away.socket", "SubState")}
    echo "listed: $(cat ~/${override})"
    ${ask} ${gateway}/nix-cache-info
    # Many at once, and several on one connection.
    ${ask} --http1.0 --parallel --output /dev/null --write-out '%{http_code}\\n' '${gateway}/[1-260].narinfo' | sort | uniq -c
    ${ask} --output /dev/null --write-out '%{http_code} on connection %{num_connects}\\n' '${gateway}/nar/[1-3].nar'

    # What Nix remembers is remembered for it; a scrape is not.
    mark=~/.local/state/nix-tether/denied-while-away
    [ -e $mark ] && echo "marked"
    rm $mark
    ${ask} --output /dev/null --write-out 'scrape %{http_code}\\n' http://127.0.0.1:37515/metrics ${gateway}/nar/1.nar
    [ -e $mark ] || echo "not marked"

    mv ~/good ~/.local/bin/nix-tether
    systemctl --user reset-failed nix-tether.service
    systemctl --user start nix-tether.service
    ${show(".socket", "SubState")}
    ${show("-away.socket", "SubState")}
    ${ask} --include ${gateway}/nix-cache-info | grep -i keep-alive: >/dev/null && echo "the daemon answers"
  `);
  const lines = output.split("\n").map((line) => line.trim());
  expect(lines).toContain("first 404");
  expect(lines).toEqual(expect.arrayContaining(["Result=exit-code", "ActiveState=failed", "NRestarts=3"]));
  expect(lines).toContain("SubState=listening");
  expect(lines).toContain("listed:");
  expect(lines).toContain("StoreDir: /nix/store");
  expect(lines).toContain("260 404");
  expect(lines).toEqual(expect.arrayContaining(["marked", "scrape 404", "not marked"]));
  expect(lines.filter((line) => line.startsWith("404 on connection"))).toEqual([
    "404 on connection 1",
    "404 on connection 0",
    "404 on connection 0",
  ]);
  expect(lines.slice(-4, -1)).toEqual(["SubState=running", "SubState=dead", "the daemon answers"]);
});

test("a daemon that hangs is killed by the watchdog and unlisted; one that is well is not", async () => {
  const output = await session.run(`
    mkdir ~/.config/systemd/user/nix-tether.service.d
    printf '[Service]\\nWatchdogSec=3s\\n' >~/.config/systemd/user/nix-tether.service.d/quick.conf
    systemctl --user daemon-reload
    systemctl --user start nix-tether.socket nix-tether.service
    sleep 5
    ${show(".service", "NRestarts")}
    # The next start is to fail, so that what is unlisted is not the new daemon's doing.
    mv ~/.config/nix-tether/config.toml ~/
    systemctl --user kill --signal=STOP --kill-who=main nix-tether.service
    ${list}
    ${waitFor("systemctl --user is-failed --quiet nix-tether.service")}
    ${show(".service", "NRestarts")}
    cat ~/${override}
    ${ask} --output /dev/null --write-out '%{http_code}\\n' ${gateway}/x.narinfo
  `);
  expect(output).toMatch(/^NRestarts=0\nNRestarts=1\n(#.*\n)*404\n$/);
});

test("started twice, the second says so, is not started again, and leaves the first one's list alone", async () => {
  const output = await session.run(`
    # Without caches nothing happens for which the first would write its list anew.
    : >~/.config/nix-tether/config.toml
    ~/.local/bin/nix-tether run 2>/dev/null &
    ${waitFor("~/.local/bin/nix-tether status --quiet")}
    ${list}
    systemctl --user start nix-tether.service 2>/dev/null || echo "not started"
    sleep 1
    ${show(".service", "NRestarts", "ExecMainStatus")}
    cat ~/${override}
    ${ask} --output /dev/null --write-out '%{http_code}\\n' ${gateway}/x.narinfo
    kill $!
    wait $! && echo "the first leaves"
    cat ~/${override}
  `);
  expect(output).toMatch(
    /^not started\nNRestarts=0\nExecMainStatus=5\nextra-substituters = .*\n404\nthe first leaves\n#/,
  );
});

test("with the port taken it runs, says by whom, and lists nothing", async () => {
  const output = await session.run(`
    ${process.execPath} -e 'require("http").createServer().listen(37515, "127.0.0.1")' &
    ${waitFor("grep -q 0100007F:928B /proc/net/tcp")}
    systemctl --user start nix-tether.service 2>/dev/null
    ${show(".service", "StatusText")}
    ~/.local/bin/nix-tether status || echo "exit $?"
    kill $!
    wait $! || true
    systemctl --user restart nix-tether.service
    ${show(".socket", "SubState")}
    ${ask} ${gateway}/nix-cache-info
  `);
  expect(output).toMatch(/^StatusText=nothing is listed: port 37515 .* in use by node \(process \d+\)/);
  expect(output.replace(/\s+/g, " ")).toMatch(
    /! port 37515 on 127\.0\.0\.1 is in use by node \(process \d+\)\. Stop/,
  );
  expect(output).toContain("exit 3");
  expect(output).toMatch(/SubState=running\nStoreDir: \/nix\/store/);
});
