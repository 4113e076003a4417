// Holds the token of an account through its renewals: `node tests/follow.js ACCOUNT TOKENS`.
//
// Asks for it all the time, until it has had so many, and prints how many connections that took, counted at a socket in front of the daemon's.

import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Client } from "tokend";
import { eventually } from "./standin.js";

const [account, wanted] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "tokend-"));
const socket = join(folder, "http.sock");
let connections = 0;
const counter = createServer((front) => {
  connections += 1;
  const back = connect(process.env.TOKEND_HTTP_SOCKET);
  for (const one of [front, back]) one.on("error", () => {});
  front.pipe(back).pipe(front);
});
await new Promise((resolve) => counter.listen(socket, resolve));

const client = new Client({ socket });
const seen = new Set();
await eventually("the tokens", async () => {
  seen.add((await client.token(account)).value);
  return seen.size >= Number(wanted);
});
client.close();
counter.close();
console.log(connections);
rmSync(folder, { recursive: true });
