// One request to an API with the token of an account: `node tests/ask.js fetch|axios ACCOUNT URL`.
//
// Ends as a program should that has no token: with the words and the exit code of the error.

import { Client, TokendError, tokenFetch } from "tokend";

async function core(account, url) {
  const client = new Client();
  const ask = async (token) => (await fetch(url, { headers: Object.fromEntries([token.header()]) })).status;
  const token = await client.tokenFor(account, url);
  const status = await ask(token);
  return (await client.refused(account, status)) ? ask(await client.reject(account, token)) : status;
}

async function byAxios(account, url) {
  const { default: axios } = await import("axios");
  const { attach } = await import("tokend/axios");
  const api = axios.create({ proxy: false });
  attach(api, account);
  return (await api.get(url)).status;
}

const ADAPTERS = { core, fetch: async (account, url) => (await tokenFetch(account)(url)).status, axios: byAxios };

const [adapter, account, url] = process.argv.slice(2);
try {
  console.log(await ADAPTERS[adapter](account, url));
} catch (error) {
  if (!(error instanceof TokendError)) throw error;
  console.error(error.message);
  process.exitCode = error.exitCode;
}
