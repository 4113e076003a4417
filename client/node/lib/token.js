// An access token, as the daemon's JSON has it.
//
// Owns what is shown of it: never its value.

import { inspect } from "node:util";

import { WrongUse, protocol } from "./errors.js";

const NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;
const VALUE = /^[\x20-\x7e]*$/;

/** Seconds since any moment, by a clock that nobody sets, and by the wall clock, which goes on while the machine sleeps. */
const clocks = () => [performance.now() / 1000, Date.now() / 1000];

export class Token {
  #value;
  #present;
  #life;
  #since;

  constructor(answer) {
    if (typeof answer.access_token !== "string" || answer.access_token === "" || typeof answer.token_type !== "string") {
      throw protocol("it has no token");
    }
    this.#value = answer.access_token;
    this.type = answer.token_type;
    const end = typeof answer.expires_at === "string" ? new Date(answer.expires_at) : undefined;
    this.expiresAt = end === undefined || Number.isNaN(end.getTime()) ? undefined : end;
    this.scope = typeof answer.scope === "string" ? answer.scope : undefined;
    this.#present = presentation(answer.token_type, answer.present);
    this.#since = clocks();
    const left = this.expiresAt === undefined ? undefined : Math.max(0, this.expiresAt.getTime() / 1000 - this.#since[1]);
    const told = answer.expires_in;
    // Whole seconds, rounded down; the rest is in the time, unless the clock is wrong.
    this.#life = typeof told === "number" ? Math.min(Math.max(left ?? told, told), told + 1) : left;
    Object.freeze(this);
  }

  get value() {
    return this.#value;
  }

  get expiresIn() {
    if (this.#life === undefined) return undefined;
    const passed = Math.max(...clocks().map((now, index) => now - this.#since[index]));
    return Math.max(0, this.#life - passed);
  }

  header() {
    const { place, name, prefix } = this.#present;
    if (place === "query") {
      throw new WrongUse(`the API of this account wants its token in the parameter ${name} of the URL, where programs log it`, {
        code: "wrong-use",
        advice: "make this request with: tokenctl request",
      });
    }
    const value = place === "cookie" ? `${name}=${this.#value}` : `${prefix}${this.#value}`;
    if (!VALUE.test(value)) throw protocol("the token has characters that a header cannot have");
    return [place === "cookie" ? "Cookie" : name, value];
  }

  /** Whether it lives so long still. Without a demand it is given up as early as the daemon does, which is asked no sooner: five seconds before
   * its end, or a tenth of its life. The daemon's times are up to a second shorter, as they are cut. */
  holds(minValidity) {
    const left = this.expiresIn;
    return left === undefined || left > (minValidity ?? Math.max(0, Math.min(5, this.#life / 10) - 1));
  }

  toJSON() {
    return { type: this.type, expiresAt: this.expiresAt, scope: this.scope };
  }

  toString() {
    return `[${this.type} token of ${this.#value.length} characters]`;
  }

  [inspect.custom]() {
    return this.toString();
  }
}

/** Where the API wants the token. */
function presentation(type, present) {
  if (present !== undefined && present !== null) {
    const { in: place, name, prefix = "" } = present;
    const known = place === "query" || (["header", "cookie"].includes(place) && NAME.test(name));
    if (known && typeof name === "string" && name !== "" && typeof prefix === "string" && VALUE.test(prefix)) {
      return { place, name, prefix };
    }
    throw protocol("it does not say how the token is presented");
  }
  if (type === "N_A" || !VALUE.test(type)) throw protocol("it does not say how the token is presented");
  const scheme = ["", "bearer"].includes(type.toLowerCase()) ? "Bearer" : type;
  return { place: "header", name: "Authorization", prefix: `${scheme} ` };
}
