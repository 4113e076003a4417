// The token of an account for axios.
//
// Owns when a token is added to a request and taken off again. It goes only to addresses of its account, and with no redirect.

import { inspect } from "node:util";

import { isRefusal, mayRefuse, shared } from "./lib/client.js";
import { WrongUse } from "./lib/errors.js";
import { DECIDING } from "./lib/link.js";
import { envProxy } from "./lib/proxies.js";

/** Marks a request that is repeated; it is not repeated again. */
const AGAIN = "tokendRepeated";

/** Adds the account's token to the requests of an axios instance. If the API refuses it, that is reported, and the request repeated once. */
export function attach(instance, account, { client = shared(), version } = {}) {
  /** What went out with a request, by its configuration. */
  const sent = new WeakMap();

  const add = async (config) => {
    if (!isHttpAdapter(config.adapter)) {
      throw new WrongUse("another adapter of axios than http may send the token after a redirect", {
        code: "wrong-use",
        advice: "use the http adapter (adapter: \"http\"), or tokenFetch in place of axios",
      });
    }
    const url = instance.getUri(config);
    const token = await client.tokenFor(account, url);
    if (new URL(url).protocol === "http:") {
      // It is for loopback, and a proxy would read it.
      config.proxy = false;
    } else if ((config.proxy ?? envProxy(url)) && !tunnels(version ?? instance.VERSION ?? (await installed()))) {
      throw new WrongUse(`axios before 1.18 shows the token of ${account} to the proxy, and nothing was sent`, {
        code: "wrong-use",
        advice: "install axios 1.18 or later; if it is, say so: attach(instance, account, { version: axios.VERSION })",
      });
    }
    const [name, value] = token.header();
    const before = config.headers.get(name) ?? undefined;
    config.headers.set(name, name === "Cookie" && before !== undefined ? `${before}; ${value}` : value);
    const theirs = config.beforeRedirect;
    config.beforeRedirect = (options, ...rest) => {
      for (const key of Object.keys(options.headers)) {
        if (key.toLowerCase() === name.toLowerCase()) delete options.headers[key];
      }
      sent.delete(config);
      remove(config, name, before);
      theirs?.(options, ...rest);
    };
    sent.set(config, { token, name, before, theirs });
    return config;
  };

  const answered = async (response) => {
    const config = response?.config;
    const went = config === undefined ? undefined : sent.get(config);
    hide(response);
    hideIn(response?.data);
    if (went === undefined) return undefined;
    sent.delete(config);
    remove(config, went.name, went.before);
    config.beforeRedirect = went.theirs;
    if (config[AGAIN] || !mayRefuse(client, account, response.status)) return undefined;
    // A good answer that is a stream is its reader's.
    if (response.status < 400 && typeof response.data?.pipe === "function") return undefined;
    if (!(await isRefusal(client, account, response.status, text(response)))) return undefined;
    await client.reject(account, went.token);
    return isRepeatable(config.data) ? instance.request({ ...config, [AGAIN]: true }) : undefined;
  };

  const request = instance.interceptors.request.use(add);
  const response = instance.interceptors.response.use(
    async (found) => (await answered(found)) ?? found,
    async (error) => {
      hide(error);
      if (error?.response === undefined) {
        const went = sent.get(error?.config);
        if (went !== undefined) remove(error.config, went.name, went.before);
        throw error;
      }
      const repeated = await answered(error.response);
      if (repeated === undefined) throw error;
      return repeated;
    },
  );
  return () => {
    instance.interceptors.request.eject(request);
    instance.interceptors.response.eject(response);
  };
}

function remove(config, name, before) {
  if (before === undefined) config.headers.delete(name);
  else config.headers.set(name, before);
}

/** The message that was sent has the token in it, and whoever prints an error or an answer does not mean to print that. */
function hide(holder) {
  if (holder?.request !== undefined) {
    Object.defineProperty(holder, "request", { value: holder.request, enumerable: false, configurable: true, writable: true });
  }
}

/** A stream that is the answer leads to the message too. It is read as before, and printed as what it is. */
function hideIn(data) {
  if (typeof data?.pipe !== "function") return;
  for (const name of [inspect.custom, "toJSON"]) {
    Object.defineProperty(data, name, { value: () => "[stream]", enumerable: false, configurable: true, writable: true });
  }
}

/** Whether axios takes its http adapter: the first that there is here. A function may be any other. */
function isHttpAdapter(adapter) {
  for (const name of [adapter].flat()) {
    if (name === "xhr" && typeof XMLHttpRequest === "undefined") continue;
    return name === "http";
  }
  return false;
}

/** The version of axios beside this package. */
async function installed() {
  try {
    return (await import("axios")).default.VERSION;
  } catch {
    // Who has it elsewhere says which it is.
    return undefined;
  }
}

/** Whether this version of axios makes a tunnel for https, in which the proxy reads nothing. */
function tunnels(version) {
  const [major, minor] = String(version).split(".").map(Number);
  return major > 1 || (major === 1 && minor >= 18);
}

function text(response) {
  const { data } = response;
  if (typeof data === "string") return data.slice(0, DECIDING);
  if (Buffer.isBuffer(data)) return data.subarray(0, DECIDING).toString();
  if (data instanceof ArrayBuffer) return Buffer.from(data).subarray(0, DECIDING).toString();
  // A stream is left to its reader: its status decides.
  return typeof data === "object" && data !== null && typeof data.pipe !== "function" ? JSON.stringify(data).slice(0, DECIDING) : "";
}

/** Whether the body can be sent a second time: a stream is spent. */
function isRepeatable(data) {
  if (data === undefined || data === null || typeof data === "string") return true;
  return ArrayBuffer.isView(data) || data instanceof ArrayBuffer || data instanceof URLSearchParams;
}
