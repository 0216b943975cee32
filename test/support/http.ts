// Plain HTTP requests against a port of this machine, whole responses or raw bytes.

import http from "node:http";
import net from "node:net";

export interface HttpAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
  /** Whether the connection ended before the body was complete. */
  readonly cut: boolean;
}

export interface HttpRequest {
  readonly method?: string;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly agent?: http.Agent;
  readonly body?: Buffer;
}

/** Sends one request. Rejects only when the connection fails before an answer has begun. */
export function ask(port: number, path: string, options: HttpRequest = {}): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const { method = "GET", headers = {}, agent = false, body } = options;
    const request = http.request({ host: "127.0.0.1", port, path, method, headers, agent }, (response) => {
      const pieces: Buffer[] = [];
      response.on("data", (piece: Buffer) => pieces.push(piece));
      response.on("error", () => undefined);
      response.on("close", () => {
        const { statusCode = 0, headers: got, complete } = response;
        resolve({ status: statusCode, headers: got, body: Buffer.concat(pieces), cut: !complete });
      });
    });
    request.on("error", reject);
    request.end(body);
  });
}

/** Sends bytes as they are and returns all that comes back until the other side closes, or for `ms` at most. */
export function exchange(port: number, bytes: string | Buffer, ms = 2_000): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, "127.0.0.1");
    let text = "";
    const done = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(text);
    };
    const timer = setTimeout(done, ms);
    socket.on("data", (piece: Buffer) => {
      text += piece.toString("latin1");
    });
    socket.on("error", (error: NodeJS.ErrnoException) => (text === "" ? reject(error) : done()));
    socket.on("close", done);
    socket.write(bytes);
  });
}
