// Plays the nix-daemon on the Pi: `down N` gets N bytes, `up N` takes N bytes and answers with one, and everything else is
// passed on to the real one. usage: byte-server.js SOCKET REAL-SOCKET; prints "ready".

import { connect, createServer, type Socket } from "node:net";

const [socketPath = "", realSocket = ""] = process.argv.slice(2);
const piece = Buffer.alloc(1 << 20);

createServer({ allowHalfOpen: true }, (socket) => {
  socket.on("error", () => undefined);
  socket.once("data", (first: Buffer) => {
    const [line = "", way, count] = /^(down|up) (\d+)\n/.exec(first.toString("latin1", 0, 32)) ?? [];
    if (way === "down") return give(socket, Number(count));
    if (way === "up") return take(socket, Number(count) - (first.length - line.length));
    const real = connect(realSocket);
    real.on("error", () => socket.destroy());
    real.write(first);
    socket.pipe(real).pipe(socket);
  });
}).listen(socketPath, () => process.stdout.write("ready\n"));

process.stdin.resume().on("end", () => process.exit(0));

function give(socket: Socket, bytes: number): void {
  let left = bytes;
  const more = (): void => {
    for (let room = true; room && left > 0;) {
      const next = piece.subarray(0, left);
      left -= next.length;
      room = socket.write(next);
    }
    if (left === 0) socket.end();
    else socket.once("drain", more);
  };
  more();
}

function take(socket: Socket, bytes: number): void {
  let left = bytes;
  const took = (count: number): void => {
    left -= count;
    if (left <= 0) socket.end("x");
  };
  socket.on("data", (got: Buffer) => took(got.length));
  took(0);
}
