// What the gateway shows beside the caches: the status page and the metrics. For the user alone, and for no web site that
// this user's browser has open.

import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";

import { sendNotFound, sendText } from "./answers.js";

/** A page at a path of its own. */
export interface Page {
  /** Its media type. */
  readonly type: string;
  /** Uids that may read it besides the gateway's own. */
  readonly readers?: ReadonlySet<number>;
  /** Bounded; a rejection is answered 404. */
  readonly body: () => Promise<string> | string;
}

/** Nothing but the page's own files, no frame around it, and no string that becomes markup. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

const headers = {
  "cache-control": "no-store",
  "content-security-policy": contentSecurityPolicy,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

export async function answerPage(
  page: Page,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method } = request;
  if ((method !== "GET" && method !== "HEAD") || isOfAnotherSite(request.headers))
    return sendNotFound(response);
  const body = await page.body();
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  sendText(response, 200, page.type, body);
}

/**
 * Whether a page of another origin (another port of this machine is one) has made the browser ask, other than by a link that
 * was followed. Browsers say so by themselves; programs that are none say nothing.
 */
function isOfAnotherSite(request: IncomingHttpHeaders): boolean {
  const site = request["sec-fetch-site"];
  if (site === undefined || site === "same-origin" || site === "none") return false;
  return request["sec-fetch-mode"] !== "navigate" || request["sec-fetch-dest"] !== "document";
}
