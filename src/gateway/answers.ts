// The few answers the gateway gives. Nix goes on silently, whatever its version, only after 200, 206 and 404 (and
// 403, which it takes for "not here" as well): so there are no others.

import type { ServerResponse } from "node:http";

/** "Not here": the next substituter is asked, or the path is built. */
export function sendNotFound(response: ServerResponse, options: { close?: boolean } = {}): void {
  if (options.close === true) response.setHeader("connection", "close");
  sendText(response, 404, "text/plain", "not here\n");
}

/** For a user who is not the one this gateway works for. */
export function sendForbidden(response: ServerResponse): void {
  response.setHeader("connection", "close");
  sendText(response, 403, "text/plain", "this belongs to another user\n");
}

/** A short answer; Node leaves the body out for HEAD. */
export function sendText(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) });
  response.end(body);
}

/** The cache's `nix-cache-info`. Without a priority Nix would take 0 and ask here before anywhere else. */
export function formatCacheInfo(priority: number): string {
  return `StoreDir: /nix/store\nWantMassQuery: 1\nPriority: ${priority}\n`;
}

/** Answer to bytes that are no HTTP request, written past the HTTP server. */
export const rawNotFound = "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
