// Requests to a daemon that is trusted, as `proto/openapi.json` has them.
//
// Owns paths, limits and the meaning of an answer. A question has a connection of its own: it is made only while no token is held.

import { request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

import { NotAllowed, TokendError, fault, late, lost, passes, protocol } from "./errors.js";
import { demandTrust, find, unreachable } from "./socket.js";
import { Token } from "./token.js";

/** How long, in seconds, an answer may take that needs no attempt. */
const ANSWER = 10;
/** The longest time, in milliseconds, that a timer can have: a longer one would end at once. */
const LONGEST_TIMER = 2 ** 31 - 1;
/** How much longer than the daemon the client waits for an answer that may take an attempt: the daemon's own answer says more. */
const GRACE = 2;
/** Something comes at least every 15 seconds on a stream; after three times that it is given up. */
const SILENCE = 45;
/** The longest answer or line that is read: a token has at most 32 KiB, an escaped one six times as many. */
const LONGEST = 1024 * 1024;
/** How much of an API's answer decides whether it refuses the token. The daemon reads no more. */
export const DECIDING = 16 * 1024;
/** The pauses, in milliseconds, between attempts to reach a daemon that is away: doubled up to the longest. */
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 5000;

export class Link {
  #named;
  #daemonUid;

  constructor(named, daemonUid) {
    this.#named = named;
    this.#daemonUid = daemonUid;
  }

  token(account, { minValidity, wait = 0, timeout = 30 + wait, signal } = {}) {
    const path = pathOf(account, "token", { min_validity: minValidity, wait: wait || undefined, timeout });
    return this.ask({ path, limit: timeout + GRACE, signal });
  }

  reject(account, value, { wait = 0, timeout = 30 + wait, signal } = {}) {
    const path = pathOf(account, "reject", { wait: wait || undefined, timeout });
    return this.ask({ method: "POST", path, body: { token: value }, limit: timeout + GRACE, signal });
  }

  async refused(account, status, body) {
    // Escaped, control characters would be six times as long as the daemon reads.
    const text = body.slice(0, DECIDING).replace(/[^\P{Cc}\t\r\n]|[\ud800-\udfff]/gu, "\ufffd");
    const answer = await this.ask({ method: "POST", path: pathOf(account, "refusal", {}), body: { status, body: text } });
    return answer.refused === true;
  }

  /** The lines of a list, page by page. */
  async *lines(path) {
    let after = "";
    for (;;) {
      const page = await this.ask({ path: path + after });
      if (!Array.isArray(page.accounts)) throw protocol("it has no accounts");
      yield* page.accounts;
      if (typeof page.next !== "string") return;
      after = `?${new URLSearchParams({ after: page.next })}`;
    }
  }

  async ask({ method = "GET", path, body, limit = ANSWER, signal }) {
    const { response, done } = await this.#send({ method, path, body, limit, signal });
    try {
      return answer(response.statusCode, await read(response));
    } catch (error) {
      throw meaning(error, limit, signal);
    } finally {
      done();
    }
  }

  /** What happens to an account's token. A restart of the daemon does not end it; its error does. */
  async *watch(account, { minValidity, signal, background = false } = {}) {
    let pause = FIRST_PAUSE;
    let away = false;
    for (;;) {
      try {
        for await (const event of this.#connection(account, minValidity, signal, background)) {
          pause = FIRST_PAUSE;
          away = false;
          yield event;
        }
      } catch (error) {
        if (!passes(error)) throw error;
        if (!away) yield { kind: "reconnecting", error };
        away = true;
      }
      await sleep(pause, undefined, { signal, ref: !background });
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    }
  }

  async *#connection(account, minValidity, signal, background) {
    const path = pathOf(account, "watch", { min_validity: minValidity });
    const sent = await this.#send({ path, limit: ANSWER, silence: SILENCE, signal, background });
    const { response, done } = sent;
    try {
      if (response.statusCode !== 200) answer(response.statusCode, await read(response));
      let begins = true;
      for await (const line of linesOf(response)) {
        const event = eventOf(line);
        if (event === undefined) continue;
        // It serves none, so a token of an earlier connection is over, although nobody was there to hear it.
        if (begins && event.kind === "unavailable" && minValidity === undefined) yield { kind: "retired" };
        begins = false;
        yield event;
      }
    } catch (error) {
      throw meaning(error, SILENCE, signal);
    } finally {
      done();
    }
    throw lost("it ended");
  }

  #send({ method = "GET", path, body, limit, silence, signal, background = false }) {
    const socketPath = find(this.#named);
    demandTrust(socketPath, this.#daemonUid);
    const data = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const headers = { Host: "tokend", "X-Tokend": "1", Accept: "application/json, application/jsonl" };
    if (data !== undefined) Object.assign(headers, { "Content-Type": "application/json", "Content-Length": data.length });
    return new Promise((resolve, reject) => {
      let connected = false;
      const sent = request({ socketPath, method, path, headers, agent: false, signal });
      const timer = setTimeout(() => sent.destroy(late(limit)), Math.min(limit * 1000, LONGEST_TIMER));
      if (background) timer.unref();
      const done = () => {
        clearTimeout(timer);
        sent.destroy();
      };
      sent.on("socket", (socket) => {
        if (background) socket.unref();
        socket.on("connect", () => (connected = true));
      });
      sent.on("error", (error) => {
        clearTimeout(timer);
        const early = !connected && !(error instanceof TokendError) && !signal?.aborted;
        reject(early ? unreachable(socketPath, error) : meaning(error, limit, signal));
      });
      sent.on("response", (response) => {
        if (silence !== undefined) {
          clearTimeout(timer);
          sent.setTimeout(silence * 1000, () => response.destroy(lost("it says nothing any more")));
        }
        resolve({ response, done });
      });
      sent.end(data);
    });
  }
}

function pathOf(account, what, query) {
  // Whole seconds: rounded up, so that a token lives as long as was asked.
  const given = Object.entries(query).filter(([, number]) => number !== undefined);
  const tail = new URLSearchParams(given.map(([name, number]) => [name, String(Math.ceil(number))])).toString();
  return `/v1/accounts/${encodeURIComponent(account)}/${what}${tail === "" ? "" : `?${tail}`}`;
}

async function read(response) {
  const pieces = [];
  let length = 0;
  for await (const piece of response) {
    length += piece.length;
    if (length > LONGEST) throw protocol("it is too long");
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}

async function* linesOf(response) {
  let pending = Buffer.alloc(0);
  for await (const piece of response) {
    pending = Buffer.concat([pending, piece]);
    for (let at = pending.indexOf(10); at >= 0; at = pending.indexOf(10)) {
      yield pending.subarray(0, at).toString();
      pending = pending.subarray(at + 1);
    }
    if (pending.length > LONGEST) throw protocol("a line is too long");
  }
}

function objectOf(text) {
  try {
    const found = JSON.parse(text);
    return typeof found === "object" && found !== null && !Array.isArray(found) ? found : undefined;
  } catch {
    return undefined;
  }
}

/** The object of an answer, or its error. */
function answer(status, text) {
  if (status === 204) {
    throw new NotAllowed("the refusal is reported, and the new token is not for you", {
      code: "not-allowed",
      advice: "a rule with `get` in `may` has to match you; see: tokenctl whoami",
    });
  }
  const found = objectOf(text);
  if (status === 200 && found !== undefined) return found;
  if (status >= 400 && found?.code !== undefined) throw fault(found);
  throw protocol(`HTTP ${status}, which no request of this client is answered with`);
}

function eventOf(line) {
  // On silence an empty line says that the daemon is alive.
  if (line.trim() === "") return undefined;
  const found = objectOf(line);
  if (found === undefined) throw protocol("a line of the watch is no object");
  switch (found.event) {
    case "token":
      return { kind: "token", token: new Token(found) };
    case "retired":
      return { kind: "retired" };
    case "unavailable":
      return { kind: "unavailable", error: fault(found) };
    case "ended":
      throw fault(found);
    default:
      return undefined;
  }
}

/** The meaning of an error on a connection that was made. */
function meaning(error, limit, signal) {
  if (error instanceof TokendError || signal?.aborted) return error;
  return error.code === "ETIMEDOUT" ? late(limit) : lost(error.code ?? error.message);
}
