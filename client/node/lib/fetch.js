// The token of an account for `fetch`.
//
// Owns when a token is added to a request. It goes only to addresses of its account, and with no redirect.

import { isRefusal, mayRefuse, shared } from "./client.js";
import { WrongUse } from "./errors.js";
import { DECIDING } from "./link.js";
import { envProxy, fetchUsesThem } from "./proxies.js";

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const CREDENTIALS = ["authorization", "cookie", "proxy-authorization"];

/** A `fetch` with the account's token. If the API refuses it, that is reported, and the request is repeated once with the new one. */
export function tokenFetch(account, { client = shared(), fetch = globalThis.fetch } = {}) {
  return async (input, init = {}) => {
    const request = input instanceof Request ? input : undefined;
    const url = new URL(request?.url ?? input).href;
    const wanted = init.redirect ?? request?.redirect ?? "follow";
    const signal = init.signal ?? request?.signal;
    const send = (token) => {
      const headers = new Headers(init.headers ?? request?.headers);
      const [name, value] = token.header();
      const before = name === "Cookie" ? headers.get(name) : null;
      headers.set(name, before === null ? value : `${before}; ${value}`);
      return fetch(input, { ...init, headers, redirect: "manual" });
    };

    signal?.throwIfAborted();
    const token = await client.tokenFor(account, url);
    if (url.startsWith("http:") && fetchUsesThem() && envProxy(url)) {
      throw new WrongUse(`the token of ${account} would pass a proxy in clear, and was not sent: the address is plain http`, {
        code: "wrong-use",
        advice: "add the host to the variable NO_PROXY",
      });
    }
    let response = await send(token);
    if (isToBeRead(client, account, response) && (await isRefusal(client, account, response.status, await beginning(response)))) {
      const newer = await client.reject(account, token);
      if (isRepeatable(init, request)) {
        await response.body?.cancel();
        response = await send(newer);
      }
    }
    return REDIRECTS.has(response.status) ? redirected(response, { fetch, wanted, url, init, request }) : response;
  };
}

/** What a redirect comes to: what the caller wants it to, and without the token. */
async function redirected(response, { fetch, wanted, url, init, request }) {
  const location = response.headers.get("location");
  if (wanted === "manual" || location === null) return response;
  await response.body?.cancel();
  if (wanted === "error") throw new TypeError("the API answers with a redirect");
  const next = new URL(location, url);
  const method = (init.method ?? request?.method ?? "GET").toUpperCase();
  const headers = new Headers(init.headers ?? request?.headers);
  if (next.origin !== new URL(url).origin) for (const name of CREDENTIALS) headers.delete(name);
  const becomesGet = (response.status === 303 && method !== "HEAD") || (response.status < 303 && method === "POST");
  const rest = { ...init, headers, redirect: "follow", signal: init.signal ?? request?.signal };
  if (becomesGet || ["GET", "HEAD"].includes(method)) {
    for (const name of ["content-type", "content-length", "content-encoding", "content-language"]) headers.delete(name);
    return fetch(next, { ...rest, method: becomesGet ? "GET" : method, body: undefined, duplex: undefined });
  }
  if (!isRepeatable(init, request)) throw new TypeError("the API answers with a redirect, and the body cannot be sent twice");
  return fetch(next, { ...rest, method });
}

/** Whether the body can be sent a second time: a stream is spent. */
function isRepeatable(init, request) {
  const body = init.body;
  if (body === undefined || body === null) return request === undefined || request.body === null || body === null;
  const whole = [ArrayBuffer, Blob, FormData, URLSearchParams];
  return typeof body === "string" || ArrayBuffer.isView(body) || whole.some((kind) => body instanceof kind);
}

function isToBeRead(client, account, response) {
  // A good answer without a length may be a stream without an end.
  const may = response.status >= 400 || response.headers.get("content-length") !== null;
  return may && mayRefuse(client, account, response.status);
}

/** The beginning of an answer, which is left to be read. */
async function beginning(response) {
  // One that says it is long is not read here: its status decides.
  if (response.body === null || Number(response.headers.get("content-length")) > DECIDING) return "";
  const reader = response.clone().body.getReader();
  const pieces = [];
  for (let length = 0; length < DECIDING; ) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    length += value.length;
  }
  // Not waited for: it ends only when the other reader has read everything.
  reader.cancel().catch(() => {});
  return Buffer.concat(pieces).toString();
}
