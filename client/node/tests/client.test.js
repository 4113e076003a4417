import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, afterEach, test } from "node:test";
import { promisify, inspect } from "node:util";

import * as tokend from "tokend";
import { covered, target } from "../lib/addresses.js";
import { demandTrust, find } from "../lib/socket.js";
import { Daemon, eventually } from "./standin.js";

let daemon;
let client;

beforeEach(async () => {
  daemon = await new Daemon().start();
  client = new tokend.Client({ socket: daemon.socket });
});

afterEach(async () => {
  client.close();
  await daemon.close();
});

const followed = () => eventually("somebody to watch", () => daemon.watchers.size === 1);
const comes = (value) => eventually(value, async () => (await client.token("ads")).value === value);

test("a held token costs no request, and a renewal comes by the stream", async () => {
  assert.equal((await client.token("ads")).value, "secret-1");
  await followed();
  for (let times = 0; times < 1000; times += 1) await client.token("ads", { minValidity: 60 });
  await comes(daemon.renew());
  assert.deepEqual(daemon.requests, ["GET /v1/accounts/ads/token", "GET /v1/accounts/ads/watch"]);
});

test("a token never shows itself", async () => {
  daemon.extra = { scope: "a b" };
  const token = await client.token("ads");
  assert.deepEqual(token.header(), ["Authorization", "Bearer secret-1"]);
  assert.equal(token.scope, "a b");
  assert.ok(token.expiresIn > 3590 && token.expiresIn <= 3600 && token.expiresAt instanceof Date);
  for (const shown of [inspect(token), JSON.stringify(token), `${token}`, inspect({ token }, { showHidden: true })]) {
    assert.ok(!shown.includes("secret-1"), shown);
  }
});

test("each way to present a token", async () => {
  const ask = async (extra) => {
    daemon.extra = extra;
    return (await new tokend.Client({ socket: daemon.socket, follow: false }).token("ads")).header();
  };
  const present = (place, prefix = "") => ({ token_type: "N_A", present: { in: place, name: "sid", prefix } });
  assert.deepEqual(await ask({ token_type: "" }), ["Authorization", "Bearer secret-1"]);
  assert.deepEqual(await ask({ token_type: "JWT" }), ["Authorization", "JWT secret-1"]);
  assert.deepEqual(await ask(present("header", "k=")), ["sid", "k=secret-1"]);
  assert.deepEqual(await ask(present("cookie")), ["Cookie", "sid=secret-1"]);
  await assert.rejects(ask(present("query")), tokend.WrongUse);
  for (const wrong of [{ token_type: "N_A" }, { token_type: "a\r\nb" }, present("sky")]) {
    await assert.rejects(ask(wrong), tokend.ProtocolError);
  }
});

test("a token that expires is followed by the next", async () => {
  daemon.life = 1;
  await client.token("ads");
  daemon.life = 3600;
  daemon.number = 2;
  await comes("secret-2");
});

test("a refused token is reported once, and the next is held", async () => {
  const first = await client.token("ads");
  await followed();
  assert.equal((await client.reject("ads", first)).value, "secret-2");
  await comes("secret-2");
  assert.deepEqual([daemon.asked("/token"), daemon.asked("/reject")], [1, 1]);
  // An old one changes nothing.
  assert.equal((await client.reject("ads", first.value)).value, "secret-2");
});

test("a token that another program reported is not used any more", async () => {
  await client.token("ads");
  await followed();
  daemon.number = 2;
  daemon.tell({ event: "retired" });
  await comes("secret-2");
  assert.equal(daemon.asked("/token"), 2);
});

test("when the right ends nothing is held, and it comes back by itself", async () => {
  await client.token("ads");
  await followed();
  daemon.problem = { code: "not-allowed", detail: "not for you" };
  daemon.tell({ event: "ended", code: "not-allowed", message: "not for you" });
  const refused = (error) => error instanceof tokend.NotAllowed;
  await eventually("the right to end", () => client.token("ads").then(() => false, refused));
  daemon.problem = undefined;
  await comes("secret-1");
});

test("the daemon may be away while a token holds", async () => {
  await client.token("ads");
  await followed();
  await daemon.stop();
  assert.equal((await client.token("ads")).value, "secret-1");
  await assert.rejects(client.token("ads", { minValidity: 5000 }), tokend.Unreachable);
  daemon.number = 7;
  await daemon.start();
  await comes("secret-7");
  assert.equal(daemon.asked("/token"), 1);
});

test("a daemon that comes back without a token has ended the old one", async () => {
  await client.token("ads");
  await followed();
  await daemon.stop();
  daemon.hasToken = false;
  daemon.number = 2;
  await daemon.start();
  await comes("secret-2");
});

test("many who ask at once ask once", async () => {
  let go;
  daemon.delay = new Promise((resolve) => (go = resolve));
  const asking = Array.from({ length: 20 }, () => client.token("ads"));
  await eventually("the question", () => daemon.asked("/token") === 1);
  go();
  assert.deepEqual(new Set((await Promise.all(asking)).map((token) => token.value)), new Set(["secret-1"]));
  assert.equal(daemon.asked("/token"), 1);
});

test("every failure has its class, exit code and advice", async () => {
  for (const [code, kind, exitCode] of [
    ["not-allowed", tokend.NotAllowed, 77],
    ["unknown-account", tokend.UnknownAccount, 78],
    ["login-required", tokend.LoginRequired, 79],
    ["in-doubt", tokend.LoginRequired, 79],
    ["misconfigured", tokend.Misconfigured, 78],
    ["invalid-scope", tokend.WrongUse, 78],
    ["paced", tokend.TryLater, 75],
    ["internal", tokend.ProtocolError, 70],
    ["of-tomorrow", tokend.TryLater, 75],
  ]) {
    daemon.problem = { code, detail: "it failed", advice: "tokenctl login ads" };
    await assert.rejects(client.token("ads"), (error) => {
      assert.ok(error instanceof kind && error instanceof tokend.TokendError, code);
      assert.deepEqual([error.code, error.exitCode, error.name], [code, exitCode, kind.name]);
      return error.message === "it failed; tokenctl login ads";
    });
  }
  daemon.problem = { code: "in-doubt", detail: "it failed", retry_after: 7 };
  await assert.rejects(client.token("ads"), (error) => error instanceof tokend.TryLater && error.retryAfter === 7);
});

test("the rest of the contract", async () => {
  daemon.urls = ["https://api.example.com/"];
  assert.deepEqual((await client.accounts())[1], { name: "ads", urls: ["https://api.example.com/"], refusedBelow400: false });
  assert.equal((await client.status())[0].state, "valid");
  assert.equal((await client.status("ads"))[0].account, "ads");
  assert.equal((await client.whoami()).uid, process.geteuid());
  assert.equal((await client.health()).status, "ok");
  assert.equal(await client.refused("ads", 401), true);
  assert.equal(await client.refused("ads", 400, "no \0 \ud800"), false);
  await assert.rejects(client.token("a/../ads"), tokend.UnknownAccount);
  const signal = AbortSignal.abort();
  await assert.rejects(client.token("ads", { signal }), { name: "AbortError" });
});

test("a watch tells everything and outlasts a restart", async () => {
  const watch = client.watch("ads");
  const next = async () => (await watch.next()).value;
  assert.equal((await next()).token.value, "secret-1");
  daemon.tell({ event: "of-tomorrow" });
  daemon.tell({ event: "retired" });
  assert.equal((await next()).kind, "retired");
  daemon.tell({ event: "unavailable", code: "login-required", message: "no credential" });
  assert.ok((await next()).error instanceof tokend.LoginRequired);
  await daemon.stop();
  assert.equal((await next()).kind, "reconnecting");
  await daemon.start();
  assert.equal((await next()).kind, "token");
  daemon.tell({ event: "ended", code: "not-allowed", message: "not for you" });
  await assert.rejects(next(), tokend.NotAllowed);
});

test("a daemon that does not answer is given up", async () => {
  let go;
  daemon.delay = new Promise((resolve) => (go = resolve));
  await assert.rejects(client.token("ads", { timeout: 0 }), (error) => error instanceof tokend.TryLater && error.code === "timeout");
  go();
  assert.equal((await client.token("ads")).value, "secret-1");
});

test("a wait of a month is no error", async () => {
  assert.equal((await client.token("ads", { wait: 2_592_000 })).value, "secret-1");
  assert.equal((await client.reject("ads", "old", { wait: 2_592_000 })).value, "secret-1");
});

test("a program ends at once", async () => {
  const code = "import { Client } from 'tokend'; console.log((await new Client().token('ads')).value)";
  const environment = { ...process.env, TOKEND_HTTP_SOCKET: daemon.socket };
  const ended = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", code], {
    cwd: import.meta.dirname ?? new URL(".", import.meta.url).pathname,
    env: environment,
    timeout: 20_000,
  });
  assert.deepEqual([ended.stdout, ended.stderr], ["secret-1\n", ""]);
  await eventually("the watch to end", () => daemon.watchers.size === 0);
});

test("what answers something else is told", async () => {
  const path = join(daemon.folder, "other.sock");
  let answer = "";
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.end(answer));
  });
  await new Promise((resolve) => server.listen(path, resolve));
  const other = new tokend.Client({ socket: path });
  for (const [text, kind] of [
    ["", tokend.TryLater],
    ["garbage\r\n\r\n", tokend.TryLater],
    ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", tokend.ProtocolError],
    ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", tokend.ProtocolError],
    ["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", tokend.TryLater],
    ["HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", tokend.ProtocolError],
    ["HTTP/1.1 204 No Content\r\n\r\n", tokend.NotAllowed],
  ]) {
    answer = text;
    await assert.rejects(other.token("ads"), kind, text);
  }
  server.close();
  for (const missing of ["/nowhere/http.sock", daemon.folder]) {
    await assert.rejects(new tokend.Client({ socket: missing }).token("ads"), tokend.Unreachable);
  }
});

test("the first socket that exists is used, and what is named even if it is missing", () => {
  const folder = mkdtempSync(join(tmpdir(), "tokend-"));
  const search = (environment) => find(undefined, environment, `${folder}/system.sock`, `${folder}/users`);
  assert.equal(find("/nowhere/a", { TOKEND_HTTP_SOCKET: "/nowhere/b" }), "/nowhere/a");
  assert.equal(search({ TOKEND_HTTP_SOCKET: "/nowhere/b" }), "/nowhere/b");
  const session = { XDG_RUNTIME_DIR: `${folder}/run` };
  assert.throws(() => search(session), (error) => error instanceof tokend.Unreachable && error.exitCode === 69);
  for (const name of ["system.sock", `users/${process.geteuid()}/tokend/http.sock`, "run/tokend/http.sock"]) {
    mkdirSync(join(folder, name, ".."), { recursive: true });
    writeFileSync(join(folder, name), "");
    assert.equal(search(session), join(folder, name));
  }
});

test("a socket is trusted only where nobody else can have put it", async () => {
  const ours = new Set([0, process.geteuid()]);
  const trusted = (path) => {
    try {
      demandTrust(path, undefined, ours);
      return true;
    } catch (error) {
      assert.ok(error instanceof tokend.Untrusted && error.exitCode === 77, String(error));
      return false;
    }
  };
  for (const [mode, good] of [[0o700, true], [0o755, true], [0o777, false], [0o1777, false], [0o770, false], [0o722, false]]) {
    chmodSync(daemon.folder, mode);
    assert.equal(trusted(daemon.socket), good, mode.toString(8));
  }
  chmodSync(daemon.folder, 0o777);
  await assert.rejects(client.reject("ads", "secret-1"), tokend.Untrusted);
  assert.equal(daemon.requests.length, 0);
  chmodSync(daemon.folder, 0o700);
  symlinkSync(daemon.socket, join(daemon.folder, "link"));
  assert.equal(trusted(join(daemon.folder, "link")), false);
  symlinkSync(daemon.folder, `${daemon.folder}-near`);
  // A link in a directory of everybody's may be another's.
  assert.equal(trusted(`${daemon.folder}-near/http.sock`), false);
});

test("a token goes only where it belongs", async () => {
  for (const [allowed, url, good] of [
    ["https://api.example.com", "https://API.Example.com:443/v1/users?q#f", true],
    ["https://api.example.com/v1", "https://api.example.com/v1", true],
    ["https://api.example.com/v1", "https://api.example.com/v1/users", true],
    ["https://api.example.com/v1", "https://api.example.com/v10", false],
    ["https://api.example.com/v1/", "https://api.example.com/v1", false],
    ["https://api.example.com/v1", "https://api.example.com/v1/../admin", false],
    ["https://api.example.com/v1", "https://api.example.com/v1/..%2fadmin", false],
    ["https://api.example.com/v1", "https://api.example.com/v1/%252e%252e/admin", false],
    ["https://api.example.com/v1", "https://api.example.com/v1/..;/admin", false],
    ["https://api.example.com/", "https://api.example.com.evil.test/", false],
    ["https://api.example.com/", "https://api.example.com./", false],
    ["https://api.example.com/", "https://api.example.com:444/", false],
    ["https://api.example.com/", "http://api.example.com:443/", false],
    ["https://api.example.com/", "https://user@api.example.com/", false],
    ["https://api.example.com/", "https://evil.test\\@api.example.com/", false],
    ["https://*.example.com/", "https://a.b.example.com/", true],
    ["https://*.example.com/", "https://example.com/", false],
    ["https://*.example.com/", "https://a..example.com/", false],
    ["https://[2001:db8::1]/", "https://[2001:db8::1]/", true],
    ["http://127.0.0.1:8080/", "http://127.0.0.1:8080/a", true],
    ["http://api.example.com/", "http://api.example.com/", false],
    ["gopher:whatever", "https://api.example.com/", false],
    ["https://api.example.com/", "nonsense", false],
  ]) {
    assert.equal(covered([allowed], target(url)), good, `${allowed} ${url}`);
  }
  daemon.urls = ["https://api.example.com/v1"];
  await client.tokenFor("ads", "https://api.example.com/v1/me");
  await assert.rejects(client.tokenFor("ads", "https://evil.test/"), tokend.WrongUse);
  const asked = daemon.asked("/accounts");
  for (let times = 0; times < 100; times += 1) await client.tokenFor("ads", "https://api.example.com/v1/me");
  assert.equal(daemon.asked("/token"), 1);
  // Once more when the watch has begun.
  assert.ok(daemon.asked("/accounts") <= asked + 2);
});

test("a reload reaches who holds a token", async () => {
  const [gone, kept] = ["https://gone.example.com/", "https://kept.example.com/"];
  daemon.urls = [gone, kept];
  await client.tokenFor("ads", gone);
  await followed();
  daemon.urls = [kept];
  daemon.extra = { present: { in: "header", name: "X-Key", prefix: "" } };
  daemon.tell({ event: "token", ...daemon.object() });
  const refused = (error) => error instanceof tokend.WrongUse;
  await eventually("the address to be refused", () => client.tokenFor("ads", gone).then(() => false, refused));
  await eventually("the new header", async () => (await client.tokenFor("ads", kept)).header()[0] === "X-Key");
  assert.equal(daemon.asked("/token"), 1);
});
