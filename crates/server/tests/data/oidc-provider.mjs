// A provider of OpenID Connect on loopback: `node oidc-provider.mjs PORT CALLBACK`. Whoever says who they are is believed.
import Provider from 'oidc-provider';

const port = Number(process.argv[2]);
const client = {
  client_id: 'cofferdam',
  client_secret: 'a secret of the client',
  redirect_uris: [process.argv[3]],
  grant_types: ['authorization_code'],
  response_types: ['code'],
};
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [client],
  claims: { openid: ['sub'], profile: ['preferred_username'], email: ['email'] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, preferred_username: id.split(':')[0] }) }),
});
provider.listen(port, '127.0.0.1', () => console.log('listening'));
