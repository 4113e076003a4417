// Stand-ins: a daemon that keeps to `proto/openapi.json`, and an API that takes the newest token only. Both count.

import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** A failure is known by then; nothing waits so long that works. */
const PATIENCE = 20_000;

export async function eventually(what, holds) {
  const end = Date.now() + PATIENCE;
  while (Date.now() < end) {
    if (await holds()) return;
    await sleep(5);
  }
  throw new Error(`it was waited for in vain: ${what}`);
}

async function bodyOf(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

/** A daemon with one account, `ads`. */
export class Daemon {
  folder = mkdtempSync(join(tmpdir(), "tokend-"));
  socket = join(this.folder, "http.sock");
  number = 1;
  life = 3600;
  urls = [];
  refusedBelow400 = false;
  extra = {};
  problem = undefined;
  requests = [];
  watchers = new Set();
  hasToken = true;
  delay = Promise.resolve();

  async start() {
    this.server = createServer((request, response) => this.answer(request, response));
    await new Promise((resolve) => this.server.listen(this.socket, resolve));
    return this;
  }

  async stop() {
    for (const watcher of this.watchers) watcher.destroy();
    this.watchers.clear();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  async close() {
    await this.stop();
    rmSync(this.folder, { recursive: true });
  }

  get token() {
    return `secret-${this.number}`;
  }

  asked(what) {
    return this.requests.filter((line) => line.endsWith(what)).length;
  }

  object() {
    const end = this.life === undefined ? null : new Date(Date.now() + this.life * 1000).toISOString().replace(/\.\d+/, "");
    const left = this.life === undefined ? null : Math.floor(this.life);
    return { access_token: this.token, token_type: "bearer", expires_at: end, expires_in: left, scope: null, ...this.extra };
  }

  tell(event) {
    for (const watcher of this.watchers) watcher.write(`${JSON.stringify({ account: "ads", ...event })}\n`);
  }

  renew() {
    this.number += 1;
    const { expires_in: _, ...object } = this.object();
    this.tell({ event: "token", ...object });
    return this.token;
  }

  async answer(request, response) {
    const url = new URL(request.url, "http://tokend");
    this.requests.push(`${request.method} ${url.pathname}`);
    const say = (object, status = 200) => {
      response.writeHead(status, { "Content-Type": "application/json" });
      response.end(JSON.stringify(object));
    };
    const statuses = { "login-required": 409, "not-allowed": 403, paced: 429 };
    const fail = (problem) => say(problem, statuses[problem.code] ?? 500);
    if (request.headers["x-tokend"] !== "1") return fail({ code: "header-required", detail: "the header is missing" });
    const body = request.method === "POST" ? JSON.parse(await bodyOf(request)) : undefined;
    switch (url.pathname) {
      case "/v1/health":
        return say({ status: "ok", version: "0.1.0" });
      case "/v1/whoami":
        return say({ uid: process.geteuid() });
      case "/v1/status":
        return say({ accounts: [{ account: "ads", state: "valid" }], next: null });
      case "/v1/accounts/ads/status":
        return say({ account: "ads", state: "valid" });
      case "/v1/accounts":
        if (url.search === "") return say({ accounts: [{ account: "a", urls: [] }], next: "a" });
        return say({ accounts: [{ account: "ads", urls: this.urls, refused_below_400: this.refusedBelow400 }], next: null });
      case "/v1/accounts/ads/token":
        await this.delay;
        return this.problem === undefined ? say(this.object()) : fail(this.problem);
      case "/v1/accounts/ads/refusal":
        return say({ refused: body.status === 401 || body.body === "Invalid session" });
      case "/v1/accounts/ads/reject":
        if (this.problem !== undefined) return fail(this.problem);
        if (body.token === this.token) {
          this.tell({ event: "retired" });
          this.renew();
        }
        return say(this.object());
      case "/v1/accounts/ads/watch": {
        if (this.problem !== undefined) return fail(this.problem);
        response.writeHead(200, { "Content-Type": "application/jsonl" });
        response.write("\n");
        this.watchers.add(response);
        response.on("close", () => this.watchers.delete(response));
        const { expires_in: _, ...object } = this.object();
        const first = this.hasToken ? { event: "token", ...object } : { event: "unavailable", code: "login-required", message: "none" };
        const line = `${JSON.stringify({ account: "ads", ...first })}\n`;
        // In two pieces, as a stream may be cut anywhere.
        response.write(line.slice(0, 7));
        return response.write(line.slice(7));
      }
      default:
        return say({ code: "unknown-account", detail: "there is no such account" }, 404);
    }
  }
}

/** An API on loopback. `/moved` leads to `/v1/me`, `/away` to another server, `/old` answers 400 without the newest token, `/soft` 200. */
export class Api {
  seen = [];
  good = undefined;
  away = "";

  constructor(daemon) {
    this.daemon = daemon;
  }

  async start() {
    this.server = createServer((request, response) => this.answer(request, response));
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${this.server.address().port}`;
    return this;
  }

  /** The API ends the token before its time. */
  refuseCurrent() {
    this.good = `secret-${this.daemon.number + 1}`;
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }

  async answer(request, response) {
    const body = await bodyOf(request);
    const { authorization, cookie } = request.headers;
    const presented = authorization ?? request.headers["x-key"] ?? cookie;
    this.seen.push({ path: request.url, method: request.method, presented, body });
    const good = this.good ?? this.daemon.token;
    const say = (status, text, headers = {}) => response.writeHead(status, headers).end(text);
    if (request.url === "/moved") return say(302, "", { Location: "/v1/me" });
    if (request.url === "/away") return say(307, "", { Location: this.away });
    const accepted = [`Bearer ${good}`, good, `sid=${good}`, `a=b; sid=${good}`].includes(presented);
    if (request.url === "/soft" && !accepted) {
      const text = "Invalid session";
      return response.writeHead(200, { "Content-Length": text.length }).end(text);
    }
    if (request.url === "/old" && !accepted) {
      response.writeHead(400);
      response.write("Invalid");
      return response.end(" session");
    }
    if (request.url === "/missing") return say(404, "nothing here");
    return accepted ? say(200, '{"me":1}', { "Content-Type": "application/json" }) : say(401, "refused");
  }
}
