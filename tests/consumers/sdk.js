// The same as sdk.py, with the SDKs for Node: for each line on standard input it asks once and prints `TOKEN SECONDS`, or `! ERROR: MESSAGE`.
"use strict";
const readline = require("node:readline");

function azure(resource) {
  const { DefaultAzureCredential } = require("@azure/identity");
  const credential = new DefaultAzureCredential({ retryOptions: { maxRetries: 0 } });
  return async () => {
    const { token, expiresOnTimestamp } = await credential.getToken(`${resource}/.default`);
    return [token, expiresOnTimestamp];
  };
}

function google(...scopes) {
  const { GoogleAuth } = require("google-auth-library");
  const auth = new GoogleAuth({ scopes });
  return async () => {
    const client = await auth.getClient();
    const { token } = await client.getAccessToken();
    return [token, client.credentials.expiry_date];
  };
}

async function main() {
  const [kind, ...words] = process.argv.slice(2);
  const make = { azure, google }[kind];
  let get = null;
  for await (const line of readline.createInterface({ input: process.stdin })) {
    try {
      if (get === null || line.trim() === "anew") get = make(...words);
      const [token, ends] = await get();
      console.log(token, Math.round((ends - Date.now()) / 1000));
    } catch (error) {
      console.log(`! ${error.name}: ${String(error.message).split(/\s+/).join(" ")}`);
    }
  }
}

main();
