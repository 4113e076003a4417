// What a program in TypeScript writes; checked and not run.

import axios from "axios";
import { Client, LoginRequired, type Token, type TokenEvent, tokenFetch } from "tokend";
import { attach } from "tokend/axios";

const client: Client = new Client({ socket: "/run/tokend/http.sock", follow: true });
const token: Token = await client.token("ads", { minValidity: 60, wait: 5, timeout: 10, signal: AbortSignal.timeout(5) });
const [name, value]: [string, string] = token.header();
const left: number | undefined = token.expiresIn;
// @ts-expect-error a token is made by the client
new Token();
// @ts-expect-error it may be unknown
const end: Date = token.expiresAt;
const ask: typeof fetch = tokenFetch("ads", { client });
const detach: () => void = attach(axios.create(), "ads", { client });
for await (const event of client.watch("ads")) {
  const told: TokenEvent = event;
  if (event.kind === "token") console.log(event.token.type, told);
  if (event.kind === "unavailable" && event.error instanceof LoginRequired) console.log(event.error.exitCode);
}
export { ask, detach, end, left, name, value };
