// SMART's JavaScript client in a real Chromium: standalone launch, EHR launch, refresh, silent renewal, a user who says no.
// `node browser.mjs ROOT PASSWORD PATIENT FHIRCLIENT CHROMIUM`: the root of a `baton demo`, the password of its logins, the patient of
// its story, the client's build for browsers, the browser. The demo's app and EHR are registered at fixed ports of this machine.
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { createHash, randomBytes } from "node:crypto";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const [root, password, patient, library, executablePath] = process.argv.slice(2);
const iss = `${root}/fhir`, app = "http://127.0.0.1:8090", ehr = "http://127.0.0.1:8091/callback";
const standalone = "launch/patient openid fhirUser offline_access patient/Patient.rs patient/MedicationRequest.rs";
const launched = "launch openid fhirUser online_access patient/*.rs";

// The app: a page that starts, a page that an EHR starts, a page that is come back to and shows what it may read.
const page = (script) => `<!doctype html><meta charset="utf-8"><title>app</title><script src="/fhir-client.js"></script><script>${script}</script>`;
const start = (scope, more) => `FHIR.oauth2.authorize({clientId: "baton-demo-app", redirectUri: "/callback", scope: "${scope}", pkceMode: "required"${more}})`;
// A public client says who it is when it refreshes (RFC 6749 6); the library does so when it is told to.
const back = `FHIR.oauth2.settings.refreshTokenWithClientId = true; FHIR.oauth2.ready().then(async (client) => {
  const s = client.state.tokenResponse;
  const out = {patient: client.patient.id, user: client.getFhirUser(), scope: s.scope, banner: s.need_patient_banner};
  out.read = (await client.patient.read()).id;
  out.medicines = (await client.request("MedicationRequest?patient=" + client.patient.id)).entry.length;
  const me = await client.user.read();
  out.me = me.resourceType + "/" + me.id;
  out.denied = await client.request("Condition?patient=" + client.patient.id).then(() => 200, (e) => e.statusCode || e.status);
  const before = s.access_token;
  await client.refresh();
  out.refreshed = client.state.tokenResponse.access_token !== before;
  out.again = (await client.request("Patient/" + client.patient.id)).id;
  document.title = "done"; document.body.textContent = JSON.stringify(out);
}).catch((e) => { document.title = "failed"; document.body.textContent = String(e); });`;
const pages = {
  "/": page(start(standalone, `, iss: "${iss}"`)),
  "/launch": page(start(launched, "")),
  "/callback": page(`addEventListener("load", () => { ${back} });`),
};
const server = createServer((request, response) => {
  const path = new URL(request.url, app).pathname;
  const found = path === "/fhir-client.js" ? readFileSync(library) : pages[path];
  response.writeHead(found ? 200 : 404, { "Content-Type": path.endsWith(".js") ? "text/javascript" : "text/html" });
  response.end(found ?? "");
});
await new Promise((done) => server.listen(8090, "127.0.0.1", done));

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const signIn = async (tab, user) => {
  await tab.getByLabel("Name").fill(user);
  await tab.getByLabel("Password").fill(password);
  await tab.getByRole("button", { name: "Sign in" }).click();
};
const result = async (tab) => {
  await tab.waitForFunction(() => ["done", "failed"].includes(document.title));
  const text = await tab.locator("body").textContent();
  assert.equal(await tab.title(), "done", text);
  return JSON.parse(text);
};
try {
  // Standalone: the patient signs in, unticks nothing, and the app reads the own record.
  const own = await browser.newContext();
  const tab = await own.newPage();
  const errors = [];
  tab.on("console", (m) => m.type() === "error" && errors.push(m.text()));
  await tab.goto(app);
  await signIn(tab, "samir");
  await tab.getByRole("button", { name: "Allow" }).click();
  const first = await result(tab);
  assert.deepEqual([first.patient, first.read, first.again, first.me], [patient, patient, patient, `Patient/${patient}`]);
  assert.equal(first.user, `Patient/${patient}`);
  assert.ok(first.medicines > 0 && first.refreshed && first.banner === true, JSON.stringify(first));
  assert.equal(first.denied, 403, "what was not granted");
  assert.deepEqual(errors.filter((e) => /security policy|CORS|blocked/i.test(e)), [], "nothing is blocked: CSP and CORS let it through");

  // Again in the same browser: nobody has to sign in; the user takes a tick away, and then says no.
  await tab.goto(app);
  await tab.getByLabel(/prescriptions|medicines/i).first().uncheck();
  await tab.getByRole("button", { name: "Deny" }).click();
  await tab.waitForURL(/error=access_denied/);

  // The pharmacist's EHR signs in as an app of the house, and starts the app for the patient at work.
  const work = await browser.newContext();
  const desk = await work.newPage();
  const verifier = randomBytes(32).toString("base64url");
  const challenge = createHash("sha256").update(verifier).digest("base64url");
  const query = new URLSearchParams({ response_type: "code", client_id: "baton-demo-ehr", redirect_uri: ehr, scope: "openid fhirUser online_access user/*.rs",
    state: "s-1", aud: iss, code_challenge: challenge, code_challenge_method: "S256" });
  let came;
  await desk.route(`${ehr}*`, (route) => { came = new URL(route.request().url()); return route.fulfill({ body: "back" }); });
  await desk.goto(`${root}/auth/authorize?${query}`);
  await signIn(desk, "jonas");
  await desk.waitForURL(`${ehr}*`);
  assert.equal(came.searchParams.get("state"), "s-1");
  const form = new URLSearchParams({ grant_type: "authorization_code", code: came.searchParams.get("code"), redirect_uri: ehr, client_id: "baton-demo-ehr", code_verifier: verifier });
  const token = await (await fetch(`${root}/auth/token`, { method: "POST", body: form })).json();
  const minted = await fetch(`${root}/auth/launch`, { method: "POST", headers: { Authorization: `Bearer ${token.access_token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ client_id: "baton-demo-app", patient }) });
  const launch = await minted.json();
  assert.equal(minted.status, 201, JSON.stringify(launch));
  await desk.goto(launch.url);
  await desk.getByRole("button", { name: "Allow" }).click();
  const second = await result(desk);
  assert.deepEqual([second.patient, second.read, second.me], [patient, patient, "Practitioner/jonas-adler"]);
  assert.ok(second.medicines > 0 && second.banner === false && second.denied === 200, JSON.stringify(second));
  // The handle is used up.
  await desk.goto(launch.url);
  await desk.waitForURL(/error=invalid_request/);
  console.log(`fhirclient in ${browser.version()}: standalone and EHR launch`);
} finally {
  await browser.close();
  server.close();
}
