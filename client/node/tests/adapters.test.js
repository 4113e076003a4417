import assert from "node:assert/strict";
import { beforeEach, afterEach, test } from "node:test";
import { inspect } from "node:util";
import { Readable } from "node:stream";

import axios from "axios";
import * as tokend from "tokend";
import { attach } from "tokend/axios";
import { Api, Daemon } from "./standin.js";

const LOGIN = { code: "login-required", detail: "ads needs a login", advice: "tokenctl login ads" };
const X_KEY = { token_type: "N_A", present: { in: "header", name: "X-Key", prefix: "" } };
const COOKIE = { token_type: "N_A", present: { in: "cookie", name: "sid", prefix: "" } };

let daemon;
let api;
let other;
let client;

beforeEach(async () => {
  daemon = await new Daemon().start();
  api = await new Api(daemon).start();
  other = await new Api(daemon).start();
  api.away = `${other.url}/v1/me`;
  daemon.urls = [`${api.url}/`];
  client = new tokend.Client({ socket: daemon.socket });
});

afterEach(async () => {
  client.close();
  api.close();
  other.close();
  await daemon.close();
});

/** Each way to send a request, by the same words: its status. */
const WAYS = {
  fetch: async (path, { base = api.url, method = "GET", body, headers, using = client } = {}) => {
    const ask = tokend.tokenFetch("ads", { client: using });
    const stream = body instanceof Readable;
    const init = { method, headers, body: stream ? Readable.toWeb(body) : body, ...(stream && { duplex: "half" }) };
    return (await ask(base + path, init)).status;
  },
  axios: async (path, { base = api.url, method = "GET", body, headers, using = client } = {}) => {
    const instance = axios.create({ baseURL: base, validateStatus: undefined, proxy: false });
    attach(instance, "ads", { client: using });
    const strict = axios.create({ baseURL: base, proxy: false });
    attach(strict, "ads", { client: using });
    try {
      return (await (method === "GET" ? strict : instance).request({ url: path, method, data: body, headers })).status;
    } catch (error) {
      if (error.response === undefined) throw error;
      for (const shown of [inspect(error, { depth: 9 }), JSON.stringify(error)]) assert.ok(!shown.includes("secret-"), shown);
      return error.response.status;
    }
  },
};

for (const [way, ask] of Object.entries(WAYS)) {
  test(`${way}: the token is added and held`, async () => {
    for (let times = 0; times < 30; times += 1) assert.equal(await ask("/v1/me"), 200);
    assert.deepEqual([daemon.asked("/token"), daemon.asked("/refusal")], [1, 0]);
    // Two pages, and once more when the watch has begun.
    assert.ok(daemon.asked("/accounts") <= 4);
  });

  test(`${way}: a refusal is reported, and the request repeated once`, async () => {
    for (const path of ["/v1/me", "/old"]) {
      api.refuseCurrent();
      assert.equal(await ask(path, { method: "POST", body: "body" }), 200);
      assert.deepEqual(api.seen.slice(-2).map(({ body }) => body), ["body", "body"]);
    }
    assert.equal(daemon.asked("/reject"), 2);
    api.good = "never";
    assert.equal(await ask("/v1/me"), 401);
    assert.deepEqual([daemon.asked("/reject"), api.seen.length], [3, 6]);
    assert.equal(await ask("/missing"), 404);
    assert.equal(daemon.asked("/reject"), 3);
  });

  test(`${way}: the dialect is asked about good answers only if it has a rule for them`, async () => {
    api.refuseCurrent();
    assert.equal(await ask("/soft"), 200);
    assert.deepEqual([daemon.asked("/refusal"), daemon.asked("/reject")], [0, 0]);
    daemon.refusedBelow400 = true;
    const using = new tokend.Client({ socket: daemon.socket });
    assert.equal(await ask("/soft", { using }), 200);
    assert.deepEqual([daemon.asked("/reject"), api.seen.length], [1, 3]);
    using.close();
  });

  test(`${way}: a stream is not sent twice, and its refusal reported all the same`, async () => {
    api.refuseCurrent();
    const body = () => Readable.from([Buffer.from("once")]);
    assert.equal(await ask("/v1/me", { method: "POST", body: body() }), 401);
    assert.equal(await ask("/v1/me", { method: "POST", body: body() }), 200);
    assert.deepEqual(api.seen.map((one) => one.body), ["once", "once"]);
  });

  test(`${way}: no redirect carries the token`, async () => {
    for (const extra of [{}, X_KEY]) {
      daemon.extra = extra;
      const using = new tokend.Client({ socket: daemon.socket, follow: false });
      assert.equal(await ask("/v1/me", { using }), 200);
      for (const path of ["/moved", "/away"]) assert.equal(await ask(path, { using }), 401);
      assert.deepEqual(api.seen.slice(-2).map((one) => one.presented === undefined), [true, false]);
      assert.deepEqual(new Set(other.seen.map((one) => one.presented)), new Set([undefined]));
    }
    assert.equal(daemon.asked("/reject"), 0);
  });

  test(`${way}: other addresses get nothing`, async () => {
    await assert.rejects(ask("/v1/me", { base: other.url }), tokend.WrongUse);
    await assert.rejects(ask("/", { base: api.url.replace("http://", "http://user:pw@") }), tokend.WrongUse);
    assert.deepEqual([api.seen, other.seen], [[], []]);
  });

  test(`${way}: a cookie stands beside others`, async () => {
    daemon.extra = COOKIE;
    api.refuseCurrent();
    assert.equal(await ask("/v1/me", { headers: { Cookie: "a=b" } }), 200);
    assert.deepEqual(api.seen.map((one) => one.presented), ["a=b; sid=secret-1", "a=b; sid=secret-2"]);
  });

  test(`${way}: a token that belongs into the URL is not put there`, async () => {
    daemon.extra = { token_type: "N_A", present: { in: "query", name: "key", prefix: "" } };
    await assert.rejects(ask("/v1/me"), /tokenctl request/);
  });

  test(`${way}: without a token nothing is sent, and the user reads what to do`, async () => {
    daemon.problem = LOGIN;
    await assert.rejects(ask("/v1/me"), (error) => {
      return error instanceof tokend.LoginRequired && error.message === "ads needs a login; tokenctl login ads";
    });
    assert.deepEqual(api.seen, []);
  });
}

test("fetch: the caller decides about redirects, and reads the answer", async () => {
  const ask = tokend.tokenFetch("ads", { client });
  assert.equal((await ask(`${api.url}/moved`, { redirect: "manual" })).status, 302);
  await assert.rejects(ask(`${api.url}/moved`, { redirect: "error" }), TypeError);
  const refused = await ask(`${api.url}/missing`);
  assert.equal(await refused.text(), "nothing here");
  assert.deepEqual(await (await ask(new Request(`${api.url}/v1/me`))).json(), { me: 1 });
  api.refuseCurrent();
  assert.deepEqual(await (await ask(new URL(`${api.url}/v1/me`))).json(), { me: 1 });
  // 307 keeps method and body.
  assert.equal((await ask(`${api.url}/away`, { method: "POST", body: "kept" })).status, 401);
  assert.deepEqual([other.seen[0].method, other.seen[0].body, other.seen[0].presented], ["POST", "kept", undefined]);
  await assert.rejects(ask(`${api.url}/v1/me`, { signal: AbortSignal.abort() }), { name: "AbortError" });
});

test("axios: what is attached can be taken off, and its fetch adapter is refused", async () => {
  const instance = axios.create({ proxy: false });
  const detach = attach(instance, "ads", { client });
  const answer = await instance.get(`${api.url}/v1/me`);
  assert.deepEqual(answer.data, { me: 1 });
  assert.ok(!inspect(answer, { depth: 9 }).includes("secret-"));
  for (const adapter of ["fetch", ["xhr", "fetch"], ["fetch", "http"], axios.getAdapter("fetch"), async () => ({})]) {
    await assert.rejects(instance.get(`${api.url}/v1/me`, { adapter }), tokend.WrongUse);
  }
  const stream = await instance.get(`${api.url}/v1/me`, { responseType: "stream", decompress: false });
  assert.ok(!inspect(stream, { depth: 9 }).includes("secret-"));
  assert.ok(!JSON.stringify({ data: stream.data }).includes("secret-"));
  assert.equal(Buffer.concat(await stream.data.toArray()).toString(), '{"me":1}');
  detach();
  await assert.rejects(instance.get(`${api.url}/v1/me`));
  assert.deepEqual(api.seen.map((one) => one.presented), ["Bearer secret-1", "Bearer secret-1", undefined]);
});

/** Runs with these variables, and with no other proxies. */
async function within(variables, run) {
  const before = { ...process.env };
  for (const name of Object.keys(process.env)) if (/_proxy$/i.test(name)) delete process.env[name];
  Object.assign(process.env, variables);
  try {
    return await run();
  } finally {
    for (const name of Object.keys(variables)) delete process.env[name];
    Object.assign(process.env, before);
  }
}

test("a token that goes to plain http passes no proxy", async () => {
  const instance = axios.create({ proxy: { protocol: "http", host: "127.0.0.1", port: new URL(other.url).port } });
  attach(instance, "ads", { client });
  await within({ http_proxy: other.url }, async () => {
    assert.equal((await instance.get(`${api.url}/v1/me`)).status, 200);
    const plain = axios.create();
    attach(plain, "ads", { client });
    assert.equal((await plain.get(`${api.url}/v1/me`)).status, 200);
    assert.equal((await tokend.tokenFetch("ads", { client })(`${api.url}/v1/me`)).status, 200);
    await within({ http_proxy: other.url, NODE_USE_ENV_PROXY: "1" }, () =>
      assert.rejects(tokend.tokenFetch("ads", { client })(`${api.url}/v1/me`), tokend.WrongUse));
    await within({ http_proxy: other.url, NODE_USE_ENV_PROXY: "1", no_proxy: "127.0.0.1" }, () =>
      tokend.tokenFetch("ads", { client, fetch: async () => new Response("") })(`${api.url}/v1/me`));
  });
  assert.deepEqual([api.seen.length, other.seen], [3, []]);
});

test("axios: a version that makes no tunnel gets no token behind a proxy", async () => {
  daemon.urls = ["https://api.example.com/"];
  const ask = (version, config) => {
    const instance = axios.create({ adapter: "http", ...config });
    attach(instance, "ads", { client, version });
    return instance.get("https://api.example.com/", { timeout: 5000 });
  };
  const tunnels = [];
  other.server.on("connect", (request, socket) => {
    tunnels.push(request.url);
    socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
  });
  const isRefused = (error) => error instanceof tokend.WrongUse && error.message.includes("before 1.18");
  await within({ https_proxy: other.url }, async () => {
    for (const version of ["1.16.0", "0.30.2", "1.17.9"]) await assert.rejects(ask(version), isRefused);
    assert.deepEqual(tunnels, []);
    // Others make a tunnel, which this proxy refuses.
    for (const version of ["1.18.0", "2.0.0"]) await assert.rejects(ask(version), (error) => !isRefused(error));
    assert.deepEqual(tunnels, ["api.example.com:443", "api.example.com:443"]);
  });
  const proxy = { protocol: "http", host: "127.0.0.1", port: new URL(other.url).port };
  await within({}, () => assert.rejects(ask("1.16.0", { proxy }), isRefused));
  assert.deepEqual(other.seen, []);
});
