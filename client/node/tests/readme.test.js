// Every example of the README runs, at the stand-ins.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import * as tokend from "tokend";
import { Api, Daemon, eventually } from "./standin.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const text = readFileSync(`${root}README.md`, "utf8");
const examples = [...text.matchAll(/```js\n(.*?)```/gs)].map((match) => match[1]);

/** Runs a program as a user would, and calls `meanwhile` with what it has said whenever it says something. */
async function run(code, environment, meanwhile = () => {}) {
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], { cwd: root, env: { ...process.env, ...environment } });
  let said = "";
  const hear = (piece) => {
    said += piece;
    meanwhile(said, child);
  };
  child.stdout.on("data", hear);
  child.stderr.on("data", hear);
  const ended = await new Promise((resolve) => child.on("close", resolve));
  return { said, ended };
}

test("every example runs", async () => {
  const daemon = await new Daemon().start();
  const api = await new Api(daemon).start();
  daemon.urls = [`${api.url}/`];
  const environment = { TOKEND_HTTP_SOCKET: daemon.socket, NO_PROXY: "127.0.0.1" };
  const all = [];
  let told = 0;
  for (const example of examples) {
    const code = example.replaceAll("https://api.example.com", api.url);
    const meanwhile = (said, child) => {
      if (!code.includes(".watch(")) return;
      if (told === 0 && said.includes("seconds\n")) {
        daemon.tell({ event: "retired" });
        daemon.tell({ event: "unavailable", code: "login-required", message: "no credential" });
        told += 1;
      }
      if (said.includes("no credential\n")) child.kill();
    };
    const { said, ended } = await run(code, environment, meanwhile);
    assert.ok(ended === 0 || code.includes(".watch("), `${code}\n${said}`);
    assert.ok(!said.includes("secret"), said);
    all.push(said);
  }
  assert.match(all[0], /^bearer 3\d\d\d/);
  assert.equal(all[1], "true\n");
  assert.equal(all.filter((said) => said === "200\n").length, 2);
  assert.match(all[4], /^a token for 3\d\d\d seconds\ndo not use .*\nunavailable no credential\n$/);

  daemon.problem = { code: "login-required", detail: "no credential", advice: "tokenctl login ads" };
  const failed = await run(examples.at(-1), environment);
  assert.deepEqual(failed, { said: "no credential; tokenctl login ads\n", ended: 79 });
  await eventually("nobody to watch", () => daemon.watchers.size === 0);
  api.close();
  await daemon.close();
});

test("the table of failures is right, and the types name what there is", () => {
  const rows = [...text.matchAll(/^\| (`.+?) \| (\d+) \|/gm)];
  const table = rows.flatMap(([, names, code]) => names.split(", ").map((name) => [name.replaceAll("`", ""), Number(code)]));
  const kinds = Object.values(tokend).filter((kind) => kind.prototype instanceof tokend.TokendError);
  const found = kinds.map((kind) => [kind.name, new kind("").exitCode]);
  assert.deepEqual(new Map(table.sort()), new Map(found.sort()));
  const types = readFileSync(`${root}index.d.ts`, "utf8");
  const typed = [...types.matchAll(/^export declare (?:class|function) (\w+)/gm)].map((match) => match[1]);
  assert.deepEqual(typed.sort(), Object.keys(tokend).sort());
});
