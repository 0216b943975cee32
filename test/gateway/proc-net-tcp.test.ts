import { describe, expect, test } from "vitest";

import { established, listening, parseTcpTable, tableAddresses } from "../../src/gateway/proc-net-tcp.js";

const header =
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
const rows = `${header}
   0: 0100007F:928B 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 51234 1 0000000000000000 100 0 0 10 0
   1: 0100007F:C0DE 0100007F:928B 01 00000000:00000000 00:00000000 00000000     0        0 51240 1 0000000000000000 20 4 30 10 -1
   2: 0100007F:C0DF 0100007F:928B 06 00000000:00000000 03:00000F9A 00000000     0        0 0 3 0000000000000000
`;

describe("the kernel's table of TCP sockets", () => {
  test("is read row by row", () => {
    expect(parseTcpTable(rows)).toEqual([
      {
        localAddress: "0100007F",
        localPort: 37_515,
        remoteAddress: "00000000",
        remotePort: 0,
        state: listening,
        uid: 1000,
        inode: "51234",
      },
      {
        localAddress: "0100007F",
        localPort: 49_374,
        remoteAddress: "0100007F",
        remotePort: 37_515,
        state: established,
        uid: 0,
        inode: "51240",
      },
      expect.objectContaining({ localPort: 49_375, state: 6 }),
    ]);
  });

  test("may hold IPv6 addresses", () => {
    const line =
      "   1: 0000000000000000FFFF00000100007F:C0DE 0000000000000000FFFF00000100007F:928B 01 00000000:00000000 00:00000000 00000000  1001        0 61240 1 0 20 4 30 10 -1";
    expect(parseTcpTable(line)).toMatchObject([{ localPort: 49_374, uid: 1001 }]);
  });

  test("with nothing in it, or nonsense, has no rows", () => {
    expect(parseTcpTable("")).toEqual([]);
    expect(parseTcpTable(`${header}\nnonsense\n`)).toEqual([]);
  });
});

test.each([
  ["127.0.0.1", "LE", "0100007F", "0000000000000000FFFF00000100007F"],
  ["::ffff:127.0.0.2", "LE", "0200007F", "0000000000000000FFFF00000200007F"],
  ["127.0.0.1", "BE", "7F000001", "00000000000000000000FFFF7F000001"],
] as const)("%s in %s", (address, endianness, own, mapped) => {
  expect(tableAddresses(address, endianness)).toEqual([own, mapped]);
});
