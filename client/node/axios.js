// The token of an account for axios.
//
// Owns when a token is added to a request and taken off again. It goes only to addresses of its account, and with no redirect.

import { isRefusal, mayRefuse, shared } from "./lib/client.js";
import { WrongUse } from "./lib/errors.js";
import { DECIDING } from "./lib/link.js";

/** Marks a request that is repeated; it is not repeated again. */
const AGAIN = "tokendRepeated";

/** Adds the account's token to the requests of an axios instance. If the API refuses it, that is reported, and the request repeated once. */
export function attach(instance, account, { client = shared() } = {}) {
  /** What went out with a request, by its configuration. */
  const sent = new WeakMap();

  const add = async (config) => {
    if ([config.adapter].flat()[0] === "fetch") {
      throw new WrongUse("the fetch adapter of axios may send the token after a redirect", {
        code: "wrong-use",
        advice: "use the http adapter, which is the default, or tokenFetch in place of axios",
      });
    }
    const token = await client.tokenFor(account, instance.getUri(config));
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
