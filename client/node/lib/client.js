// The client.
//
// Owns its accounts and what follows each. Nothing here keeps a process alive that has nothing else to do.

import { covered, target } from "./addresses.js";
import { TokendError, protocol, wrongAddress } from "./errors.js";
import { Ledger } from "./ledger.js";
import { Link } from "./link.js";
import { Token } from "./token.js";

/** An account whose token is kept. Knows nothing of the client, which it must not keep alive. */
class Followed {
  #link;
  #name;
  #ledger = new Ledger();
  #flights = new Map();
  #following;
  /** Whether its API may refuse the token in an answer with a status below 400. */
  refusedBelow400 = false;

  constructor(link, name) {
    this.#link = link;
    this.#name = name;
  }

  async token(demand) {
    const held = this.#ledger.held(demand.minValidity);
    if (held !== undefined) return held;
    if (demand.signal !== undefined) return this.#asked(this.#link.token(this.#name, demand));
    const key = JSON.stringify([demand.minValidity, demand.wait, demand.timeout]);
    let flight = this.#flights.get(key);
    if (flight === undefined) {
      // Everybody else who asks meanwhile gets the same answer.
      flight = this.#asked(this.#link.token(this.#name, demand)).finally(() => this.#flights.delete(key));
      this.#flights.set(key, flight);
    }
    return flight;
  }

  async replaced(value, demand) {
    this.#ledger.refused(value);
    return this.#asked(this.#link.reject(this.#name, value, demand));
  }

  async #asked(answer) {
    const changes = this.#ledger.changes;
    const token = new Token(await answer);
    this.#ledger.answered(token, changes);
    if (this.#following === undefined) {
      this.#following = new AbortController();
      this.#follow(this.#following);
    }
    return token;
  }

  async #follow(controller) {
    try {
      const events = this.#link.watch(this.#name, { signal: controller.signal, background: true });
      for await (const event of events) {
        if (this.#following !== controller) return;
        this.#ledger.heard(event);
      }
    } catch {
      // The right to the token has ended, or something else that who asks next is told.
    } finally {
      if (this.#following === controller) this.close();
    }
  }

  async covers(wanted) {
    let urls = this.#ledger.urls(true);
    if (urls !== undefined && covered(urls, wanted)) return true;
    urls = this.#ledger.urls(false);
    if (urls === undefined) {
      const { changes } = this.#ledger;
      let own = { urls: [], refusedBelow400: false };
      for await (const line of this.#link.lines("/v1/accounts")) {
        if (line.account === this.#name) {
          own = account(line);
          break;
        }
      }
      urls = own.urls;
      this.#ledger.toldUrls(urls, changes);
      this.refusedBelow400 = own.refusedBelow400;
    }
    return covered(urls, wanted);
  }

  close() {
    const controller = this.#following;
    this.#following = undefined;
    this.#ledger.clear();
    controller?.abort();
  }
}

function account(line) {
  if (typeof line.account !== "string" || !Array.isArray(line.urls)) throw protocol("an account has no name or no addresses");
  const urls = line.urls.filter((url) => typeof url === "string");
  return { name: line.account, urls, refusedBelow400: line.refused_below_400 === true };
}

const endAll = (accounts) => {
  for (const one of accounts.values()) one.close();
  accounts.clear();
};

/** Clients that are gone are followed by nobody. */
const gone = new FinalizationRegistry(endAll);

/** Whether an answer with this status may refuse the account's token, which was sent. */
export let mayRefuse;

export class Client {
  static {
    mayRefuse = (client, name, status) => status >= 400 || (#accounts in client && client.#followed(name).refusedBelow400);
  }

  #link;
  #follow;
  #accounts = new Map();

  constructor({ socket, follow = true, daemonUid } = {}) {
    this.#link = new Link(socket, daemonUid);
    this.#follow = follow;
    gone.register(this, this.#accounts);
  }

  async token(name, demand = {}) {
    return this.#follow ? this.#followed(name).token(demand) : new Token(await this.#link.token(name, demand));
  }

  async reject(name, token, demand = {}) {
    const value = token instanceof Token ? token.value : token;
    return this.#follow ? this.#followed(name).replaced(value, demand) : new Token(await this.#link.reject(name, value, demand));
  }

  async refused(name, status, body = "") {
    return this.#link.refused(name, status, body);
  }

  async tokenFor(name, url, demand = {}) {
    // First the token: addresses are asked for again with each new one.
    const token = await this.token(name, demand);
    if (!(await this.#followed(name).covers(target(url)))) throw wrongAddress(name);
    return token;
  }

  async accounts() {
    const found = [];
    for await (const line of this.#link.lines("/v1/accounts")) found.push(account(line));
    return found;
  }

  async status(name) {
    if (name !== undefined) return [await this.#link.ask({ path: `/v1/accounts/${encodeURIComponent(name)}/status` })];
    const found = [];
    for await (const line of this.#link.lines("/v1/status")) found.push(line);
    return found;
  }

  async whoami() {
    return this.#link.ask({ path: "/v1/whoami" });
  }

  async health() {
    return this.#link.ask({ path: "/v1/health" });
  }

  watch(name, { minValidity, signal } = {}) {
    return this.#link.watch(name, { minValidity, signal });
  }

  close() {
    endAll(this.#accounts);
  }

  #followed(name) {
    let found = this.#accounts.get(name);
    if (found === undefined) {
      found = new Followed(this.#link, name);
      this.#accounts.set(name, found);
    }
    return found;
  }
}

let sharedClient;

/** The client of everything in this process that names none. */
export function shared() {
  sharedClient ??= new Client();
  return sharedClient;
}

/** Whether an API's answer refuses the token. Nobody can say while the daemon is away: then the API's own answer says more than that. */
export async function isRefusal(client, name, status, body) {
  try {
    return await client.refused(name, status, body);
  } catch (error) {
    if (error instanceof TokendError && error.exitCode !== 70) return false;
    throw error;
  }
}
