// @node-oauth/oauth2-server behind the paths and shapes of document 002, and once more as it is.
//
// Grants, token checks and errors are the library's. Ours are the table of clients, the `data` wrapper, and the
// mapping of the library's errors to the codes the document prints. `?flat` gives the error shape of its schema,
// without it that of its samples.
//
// Environment: PORT, ACCESS_TTL in seconds.

'use strict';

const crypto = require('node:crypto');
const express = require('express');
const OAuth2Server = require('@node-oauth/oauth2-server');

const { Request, Response } = OAuth2Server;
const clients = [
  { id: 'YOUR_CLIENT_ID', secret: 'YOUR_CLIENT_SECRET', grants: ['client_credentials'] },
  { id: 'app', secret: 'app-secret', grants: ['password', 'refresh_token'] },
];
const issued = { access: new Map(), refresh: new Map() };

const server = new OAuth2Server({
  accessTokenLifetime: Number(process.env.ACCESS_TTL || 3600),
  alwaysIssueNewRefreshToken: true,
  model: {
    generateAccessToken: async () => `sk-${crypto.randomBytes(16).toString('hex')}`,
    getClient: async (id, secret) =>
      clients.find((client) => client.id === id && (secret === null || client.secret === secret)),
    getUser: async (name, password) =>
      name === 'alice' && password === 's3cret' ? { id: name } : null,
    getUserFromClient: async (client) => ({ id: client.id }),
    saveToken: async (token, client, user) => {
      const kept = { ...token, client, user };
      issued.access.set(kept.accessToken, kept);
      if (kept.refreshToken) issued.refresh.set(kept.refreshToken, kept);
      return kept;
    },
    getAccessToken: async (token) => issued.access.get(token),
    getRefreshToken: async (token) => issued.refresh.get(token),
    revokeToken: async (token) => issued.refresh.delete(token.refreshToken),
  },
});

const codes = {
  invalid_request: [400, '400013'],
  invalid_client: [401, '401021'],
  unauthorized_request: [401, '401001'],
  invalid_token: [401, '401022'],
};

function refuse(request, response, error) {
  const status = error.code || 500;
  const [told, code] = codes[error.name] || [status, String(status * 1000 + 999)];
  const problem = { code, code_reason: error.name, message: error.message };
  const flat = told === 401 && 'flat' in request.query;
  response.status(told).json(flat ? problem : { error: problem });
}

const app = express();
app.use(express.urlencoded({ extended: false }));

app.post('/v1/auth/token', async (request, response) => {
  // The document's request has no grant_type, the library wants one.
  request.body.grant_type ??= 'client_credentials';
  const answer = new Response(response);
  try {
    await server.token(new Request(request), answer);
    const { access_token, token_type, expires_in } = answer.body;
    response.json({ data: { access_token, token_type, expires_in } });
  } catch (error) {
    refuse(request, response, error);
  }
});

app.get('/v1/me', async (request, response) => {
  try {
    const token = await server.authenticate(new Request(request), new Response(response));
    response.json({ data: { client: token.client.id } });
  } catch (error) {
    refuse(request, response, error);
  }
});

// What the library itself answers, unwrapped.
app.post('/stock/token', async (request, response) => {
  const answer = new Response(response);
  await server.token(new Request(request), answer).catch(() => {});
  response.set(answer.headers).status(answer.status).json(answer.body);
});

app.listen(Number(process.env.PORT), '127.0.0.1');
