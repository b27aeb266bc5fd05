// A real OpenID Connect provider on loopback, whose users sign in by being named: `login_hint`, or the header `x-account`, is
// the account, written as the query string of its claims (`sub=ann&email=ann@acme.test&email_verified=true`), or `nobody`, who
// refuses. Prints its issuer URL on one line.
//
// Every issuer has routes of its own for tests: POST /control/rotate (a new signing key), /control/up, /control/down
// (connections break), /control/hang (no answer comes), /control/issuers (another issuer beside it, answered as
// {"issuer"}); GET /control/requests counts what was asked, by path.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

// A browser's, and a command line's, whose port is any.
const REDIRECT_URIS = ['https://client.test/callback', 'http://127.0.0.1/callback'];
const GRANTS = ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'];
// The audience of access tokens that are JWTs: as confusable with ID tokens as a provider could make them.
const RESOURCE = { audience: 'coditect', scope: 'openid', accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } } };

const client = (client_id) => ({
  client_id,
  application_type: 'native',
  grant_types: GRANTS,
  redirect_uris: REDIRECT_URIS,
  token_endpoint_auth_method: 'none',
});

function signingKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'RS256' };
}

function claimsOf(account) {
  const { email_verified, ...claims } = Object.fromEntries(new URLSearchParams(account));
  return { ...claims, email_verified: email_verified === 'true' };
}

function provider(issuer, keys) {
  const running = new Provider(issuer, {
    clients: [client('coditect'), client('another')],
    jwks: { keys },
    cookies: { keys: [randomUUID()] },
    claims: { openid: ['sub', 'tenant_id'], email: ['email', 'email_verified'], profile: ['name'] },
    conformIdTokenClaims: false,
    findAccount: (_, accountId) => ({ accountId, claims: () => claimsOf(accountId) }),
    // Asked for or not; and replaced each time that it is used, as a public client's is.
    issueRefreshToken: async () => true,
    ttl: { AccessToken: 3600, DeviceCode: 600, Grant: 3600, IdToken: 3600, Interaction: 3600, RefreshToken: 86400, Session: 86400 },
    pkce: { required: () => true },
    features: {
      deviceFlow: { enabled: true },
      devInteractions: { enabled: false },
      revocation: { enabled: true },
      resourceIndicators: { enabled: true, getResourceServerInfo: () => RESOURCE, useGrantedResource: () => true },
    },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    // Consent is not what is tested: everybody has given it.
    async loadExistingGrant({ oidc }) {
      const grant = new oidc.provider.Grant({ accountId: oidc.session.accountId, clientId: oidc.client.clientId });
      grant.addOIDCScope('openid email profile offline_access');
      for (const resource of [oidc.params.resource].flat().filter(Boolean)) grant.addResourceScope(resource, 'openid');
      await grant.save();
      return grant;
    },
  });
  // Nobody waits for the usual five seconds in a test.
  running.use(async (context, next) => {
    await next();
    if (context.path === '/device/auth' && context.status === 200) context.body = { ...context.body, interval: 1 };
  });
  return running;
}

async function signIn(running, request, response) {
  const { params } = await running.interactionDetails(request, response);
  const account = request.headers['x-account'] ?? params.login_hint;
  const result = account === 'nobody' ? { error: 'access_denied' } : { login: { accountId: account }, consent: {} };
  await running.interactionFinished(request, response, result);
}

async function open() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const keys = [signingKey()];
  let running = provider(issuer, keys);
  let mode = 'up';
  const requests = {};

  const control = {
    up: () => (mode = 'up'),
    down: () => (mode = 'down'),
    hang: () => (mode = 'hang'),
    requests: () => requests,
    issuers: async () => ({ issuer: await open() }),
    rotate() {
      keys.unshift(signingKey());
      running = provider(issuer, keys);
    },
  };

  server.on('request', async (request, response) => {
    const { pathname } = new URL(request.url, issuer);
    const [, first, second] = pathname.split('/');
    if (first === 'control') {
      const answer = await control[second]();
      response.setHeader('content-type', 'application/json').end(JSON.stringify(answer ?? null));
      return;
    }
    requests[pathname] = (requests[pathname] ?? 0) + 1;
    if (mode === 'down') request.socket.destroy();
    else if (mode === 'hang') return;
    else if (first === 'interaction') await signIn(running, request, response);
    else running.callback()(request, response);
  });
  return issuer;
}

// Who has read the issuer may not read on, and the provider has more to say now and then.
process.stdout.on('error', () => {});
console.log(await open());
