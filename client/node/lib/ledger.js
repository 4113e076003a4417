// The token of one account that a client holds.
//
// Owns which token that is, when answers and events cross. Does no I/O.

/** How old, in milliseconds, the addresses may be when one is missing from them: a reload may have added it. */
const OLD = 5000;

export class Ledger {
  #token;
  /** The token that came last on the watch, which is the one that it retires. */
  #told;
  #urls;
  #urlsSince = -Infinity;
  /** Counts what has changed it. An answer to a question that was asked before the last change is older than what is held. */
  changes = 0;

  held(minValidity) {
    return this.#token?.holds(minValidity) ? this.#token : undefined;
  }

  answered(token, askedAt) {
    if (askedAt === this.changes) this.#set(token);
  }

  heard(event) {
    if (event.kind === "token") {
      this.#told = event.token.value;
      this.#set(event.token);
    } else if (event.kind === "retired") {
      // An answer may have brought a newer one already.
      if (this.#told === undefined) this.clear();
      else this.refused(this.#told);
    }
  }

  refused(value) {
    if (this.#token?.value === value) this.clear();
  }

  clear() {
    this.#set(undefined);
  }

  #set(token) {
    // Also an equal one: it comes again when what it is for, or how it is presented, has changed.
    this.#token = token;
    this.#urls = undefined;
    this.changes += 1;
  }

  /** What its token is for; undefined if that has to be asked. Who holds no token is not told when it changes. */
  urls(enough) {
    const fresh = (enough && this.#token !== undefined) || performance.now() - this.#urlsSince < OLD;
    return fresh ? this.#urls : undefined;
  }

  /** Takes the answer to a question that was asked at that count of changes. */
  toldUrls(urls, askedAt) {
    if (askedAt !== this.changes) return;
    this.#urls = urls;
    this.#urlsSince = performance.now();
  }
}
