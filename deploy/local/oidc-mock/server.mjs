// A stand-in for Keycloak in tests: oauth2-mock-server with the realm's users, their claims and a sign-in page.
//   node server.mjs <port> <users file of the realm>
// It checks passwords, PKCE (S256 only), the client and its redirect addresses, and rotates refresh tokens, because the
// web app relies on each; it keeps no sessions: every sign-in asks again.
import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { OAuth2Issuer, OAuth2Service } from 'oauth2-mock-server';
import { page } from './page.mjs';

const [port, usersFile] = process.argv.slice(2);
const CLIENT = 'meterway-web';
const AUDIENCE = 'meterway';
const LIFE_S = 300;
const LOOPBACK = /^http:\/\/(127\.0\.0\.1|localhost):\d+\//;

const users = new Map(JSON.parse(readFileSync(usersFile, 'utf8')).users.map((user) => [user.username, user]));
// Whom a ticket of the sign-in page, a code or a refresh token stands for. Each is good for one use.
const tickets = new Map();

const issue = (user) => {
  const ticket = randomUUID();
  tickets.set(ticket, user);
  return ticket;
};
const redeem = (ticket) => {
  const user = tickets.get(ticket);
  tickets.delete(ticket);
  return user;
};

const issuer = new OAuth2Issuer();
issuer.url = `http://127.0.0.1:${port}`;
await issuer.keys.generate('RS256');
const service = new OAuth2Service(issuer);

service.on('beforeAuthorizeRedirect', ({ url }, request) => {
  if (request.user) tickets.set(url.searchParams.get('code'), request.user);
});

service.on('beforeTokenSigning', ({ payload }, { user }) => {
  const { firstName, lastName, username, attributes } = user;
  payload.sub = createHash('sha256').update(username).digest('hex').slice(0, 32);
  payload.name = `${firstName} ${lastName}`;
  payload.preferred_username = username;
  payload.exp = payload.iat + LIFE_S;
  // The access token comes without an audience, the ID token with the client's.
  if (payload.aud) return;
  payload.aud = AUDIENCE;
  payload.azp = CLIENT;
  for (const [name, [value]] of Object.entries(attributes)) payload[name] = value;
});

service.on('beforeResponse', (response, { user }) => {
  response.body.refresh_token = issue(user);
  response.body.expires_in = LIFE_S;
});

// === what the library leaves open ===

const refuse = (answer, status, error) => {
  answer.writeHead(status, { 'Content-Type': 'application/json', 'Access-Control-Allow-Origin': '*' });
  answer.end(JSON.stringify({ error }));
};

const body = async (request) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts);
};

const authorize = async (request, answer, query) => {
  if (query.get('client_id') !== CLIENT || !LOOPBACK.test(query.get('redirect_uri') ?? '')) {
    return refuse(answer, 400, 'invalid_request: unknown client or redirect address');
  }
  if (query.get('code_challenge_method') !== 'S256' || !query.get('code_challenge')) {
    return refuse(answer, 400, 'invalid_request: PKCE with S256 is required');
  }
  let failed = false;
  if (request.method === 'POST') {
    const form = new URLSearchParams((await body(request)).toString());
    const user = users.get(form.get('username'));
    if (user?.credentials[0].value === form.get('password')) {
      answer.writeHead(303, { Location: `/authorize?${query}&ticket=${issue(user)}` });
      return answer.end();
    }
    failed = true;
  }
  request.user = redeem(query.get('ticket'));
  if (request.user) return service.requestHandler(request, answer);
  answer.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' });
  answer.end(page(query.get('login_hint') ?? '', failed));
};

const token = async (request, answer) => {
  const form = await body(request);
  const fields = new URLSearchParams(form.toString());
  const grants = { authorization_code: 'code', refresh_token: 'refresh_token' };
  const ticket = grants[fields.get('grant_type')];
  request.user = ticket && redeem(fields.get(ticket));
  if (!request.user || fields.get('client_id') !== CLIENT) return refuse(answer, 400, 'invalid_grant');
  if (ticket === 'code' && !fields.has('code_verifier')) return refuse(answer, 400, 'invalid_grant');
  // The body is read; the library finds it as its own parser would have left it.
  request.body = Object.fromEntries(fields);
  request._body = true;
  return service.requestHandler(request, answer);
};

const server = createServer((request, answer) => {
  const { pathname, searchParams } = new URL(request.url, issuer.url);
  if (pathname === '/authorize') return authorize(request, answer, searchParams);
  if (pathname === '/token' && request.method === 'POST') return token(request, answer);
  return service.requestHandler(request, answer);
});
server.listen(Number(port), '127.0.0.1', () => console.log(`issuer ${issuer.url}`));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
