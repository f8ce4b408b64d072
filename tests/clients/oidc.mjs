// A login at `oidc-provider` in a real Chromium: `node oidc.mjs ROOT ALONE ISSUER SECRET CHROMIUM [SHOTS]`: the root of a Baton that has the provider `care`
// of that issuer and secret, the root of one that takes its tokens and has none of its own, the browser, a folder for pictures.
import { createHash, randomBytes } from "node:crypto";
import assert from "node:assert/strict";
import { Provider } from "oidc-provider";
import { chromium } from "playwright-core";

const [root, alone, issuer, secret, executablePath, shots] = process.argv.slice(2);
const callback = "http://127.0.0.1:8099/callback";
const requests = [];
const provider = new Provider(issuer, {
  clients: [{ client_id: "baton", client_secret: secret, redirect_uris: [`${root}/auth/callback/care`], response_types: ["code"], grant_types: ["authorization_code"] },
    { client_id: "elm-street-pms", client_secret: secret, redirect_uris: [], response_types: [], grant_types: ["client_credentials"] }],
  pkce: { required: () => true },
  cookies: { keys: [randomBytes(16).toString("hex")] },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  extraTokenClaims: () => ({ organization: "Elm Street", role: "system" }),
  features: {
    devInteractions: { enabled: true },
    clientCredentials: { enabled: true },
    resourceIndicators: { enabled: true, getResourceServerInfo: (_, resource) => ({ scope: "system/Task.rs system/Organization.rs", audience: resource,
      accessTokenFormat: "jwt", jwt: { sign: { alg: "RS256" } } }) },
  },
});
provider.use((context, next) => { requests.push(`${context.method} ${context.path}`); return next(); });
const server = await new Promise((done) => { const s = provider.listen(new URL(issuer).port, "127.0.0.1", () => done(s)); });
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });

const verifier = randomBytes(32).toString("base64url");
const query = new URLSearchParams({ response_type: "code", client_id: "app", redirect_uri: callback, state: "s-1", aud: `${root}/fhir`,
  scope: "openid fhirUser user/Practitioner.rs user/Task.rs", code_challenge: createHash("sha256").update(verifier).digest("base64url"), code_challenge_method: "S256" });
const errors = [];
const start = async () => {
  const tab = await (await browser.newContext()).newPage();
  tab.on("console", (m) => m.type() === "error" && errors.push(m.text()));
  await tab.goto(`${root}/auth/authorize?${query}`);
  return tab;
};
const signIn = async (tab, name) => {
  await tab.getByRole("link", { name: "Sign in with Care North" }).click();
  await tab.waitForURL(`${issuer}/interaction/*`);
  await tab.locator("input[name=login]").fill(name);
  await tab.locator("input[name=password]").fill("whatever");
  await tab.locator("button[type=submit]").click();
  await tab.getByRole("button", { name: "Continue" }).click();
};
try {
  const tab = await start();
  for (const width of shots ? [1280, 390] : []) {
    await tab.setViewportSize({ width, height: 900 });
    await tab.screenshot({ path: `${shots}/login-${width}.png`, fullPage: true });
  }
  await signIn(tab, "jonas-at-care");
  // Back at Baton: consent, and the app's code.
  let came;
  await tab.route(`${callback}*`, (route) => { came = new URL(route.request().url()); return route.fulfill({ body: "back" }); });
  await tab.getByRole("button", { name: "Allow" }).click();
  await tab.waitForURL(`${callback}*`);
  assert.deepEqual([came.searchParams.get("state"), came.searchParams.get("iss")], ["s-1", root]);
  const form = new URLSearchParams({ grant_type: "authorization_code", code: came.searchParams.get("code"), redirect_uri: callback, client_id: "app", code_verifier: verifier });
  const answer = await fetch(`${root}/auth/token`, { method: "POST", body: form });
  const token = await answer.json();
  assert.equal(answer.status, 200, JSON.stringify(token));
  const claims = JSON.parse(Buffer.from(token.id_token.split(".")[1], "base64url"));
  assert.deepEqual([claims.iss, claims.fhirUser], [root, `${root}/fhir/Practitioner/jonas-adler`], "the tokens are Baton's");
  const read = await fetch(claims.fhirUser, { headers: { Authorization: `Bearer ${token.access_token}` } });
  assert.deepEqual([read.status, (await read.json()).id], [200, "jonas-adler"]);
  assert.ok(requests.includes("POST /token") && requests.includes("GET /jwks"), requests.join(", "));

  // Signed in at Baton: the next request asks for consent at once. Somebody whom nobody linked reads who they are there.
  await tab.goto(`${root}/auth/authorize?${query}`);
  await tab.getByRole("button", { name: "Deny" }).click();
  await tab.waitForURL(/error=access_denied/);
  const stranger = await start();
  await signIn(stranger, "somebody-else");
  await stranger.getByRole("alert").filter({ hasText: "at Care North you are somebody-else" }).waitFor();
  for (const width of shots ? [1280, 390] : []) {
    await stranger.setViewportSize({ width, height: 900 });
    await stranger.screenshot({ path: `${shots}/nobody-${width}.png`, fullPage: true });
  }
  assert.deepEqual(errors.filter((e) => /security policy|blocked/i.test(e) && e.includes(root)), [], "nothing of ours is blocked");

  // A server without tokens of its own: its smart-configuration leads to the provider, and what that gives opens it - and not the other.
  const smart = await (await fetch(`${alone}/fhir/.well-known/smart-configuration`)).json();
  assert.equal(smart.token_endpoint, `${issuer}/token`);
  const program = await fetch(smart.token_endpoint, { method: "POST", headers: { Authorization: `Basic ${Buffer.from(`elm-street-pms:${encodeURIComponent(secret)}`).toString("base64")}` },
    body: new URLSearchParams({ grant_type: "client_credentials", scope: "system/Task.rs", resource: `${alone}/fhir` }) });
  const given = await program.json();
  assert.equal(program.status, 200, JSON.stringify(given));
  const status = async (base, type) => (await fetch(`${base}/fhir/${type}`, { headers: { Authorization: `Bearer ${given.access_token}` } })).status;
  assert.deepEqual([await status(alone, "Task"), await status(alone, "Organization"), await status(root, "Task")], [200, 403, 401]);
  assert.equal((await fetch(`${alone}/fhir/Task`, { headers: { Authorization: `Bearer ${token.access_token}` } })).status, 401, "the other Baton's");
  assert.equal((await fetch(`${alone}/auth/authorize?${query}`)).status, 404);
  console.log(`oidc-provider in ${browser.version()}: login at the provider, consent and tokens by Baton; its tokens at a Baton without any`);
} finally {
  await browser.close();
  server.close();
  server.closeAllConnections();
}
