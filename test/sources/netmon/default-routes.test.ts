// The kernel's tables of routes, as Linux 6.1 shows them.

import { writeFileSync } from "node:fs";
import { endianness } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { readDefaultRoutes, routersIn4, routersIn6 } from "../../../src/sources/netmon/default-routes.js";
import { temporaryFolder } from "../../support/temp-folder.js";

const v4 = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
wlan0\t00000000\tFE01A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
tun0\t00000000\t00000000\t0001\t0\t0\t50\t00000000\t0\t0\t0
tun0\t00000000\t0100630A\t0003\t0\t0\t50\t00000080\t0\t0\t0
eth0\t0000000A\t0201A8C0\t0003\t0\t0\t100\t000000FF\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
`;

const zero = "0".repeat(32);
const v6 = `fd000000000000000000000000000000 40 ${zero} 00 ${zero} 00000100 00000001 00000000 00000001     eth0
${zero} 00 ${zero} 00 fe800000000000000000000000000001 00000400 00000003 00000000 00000003     eth0
${zero} 00 ${zero} 00 fd000000000000000000000000000001 00000400 00000003 00000000 00000003     eth0
${zero} 00 ${zero} 00 ${zero} ffffffff 00000001 00000000 00200200       lo
`;

test("the routers of default routes, not of others and not without a router", () => {
  if (endianness() === "LE") {
    expect(routersIn4(v4)).toEqual([
      ["eth0", "192.168.1.1"],
      ["wlan0", "192.168.1.254"],
    ]);
  }
  expect(routersIn6(v6)).toEqual([
    ["eth0", "fe80::1"],
    ["eth0", "fd00::1"],
  ]);
});

test("both families by interface; nothing from what can not be read or makes no sense", () => {
  const folder = temporaryFolder();
  const [four, six] = [path.join(folder, "4"), path.join(folder, "6")];
  writeFileSync(four, "eth0 00000000 0101 0003 0 0 0 00000000\n\nnonsense\n");
  writeFileSync(six, v6);
  expect(readDefaultRoutes({ v4: four, v6: six })).toEqual(new Map([["eth0", ["fd00::1", "fe80::1"]]]));
  expect(readDefaultRoutes({ v4: "/nonexistent", v6: "/nonexistent" })).toEqual(new Map());
});
