"""SMART with Python: the fhirclient library, a plain OAuth library (Authlib), and a bulk-style program that signs assertions.

`smart.py ROOT PASSWORD PATIENT KEY`: the root of a `baton demo`, the password of its logins, the patient of its story, and the private key
whose public half the program `nightly` publishes
(`smart.py keys DIR` makes both). Pages are answered as a browser would: forms by their fields."""

import html
import json
import pathlib
import re
import sys
import time
import urllib.parse as u

import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.jose import JsonWebKey, jwt
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from fhirclient import client
from fhirclient.models.patient import Patient

if sys.argv[1] == "keys":
    made = JsonWebKey.generate_key("RSA", 2048, {"kid": "one"}, is_private=True)
    pathlib.Path(sys.argv[2], "key.pem").write_bytes(made.as_pem(is_private=True))
    pathlib.Path(sys.argv[2], "jwks.json").write_text(json.dumps({"keys": [made.as_dict(is_private=False)]}))
    sys.exit()

root, password, patient, key = sys.argv[1:]
base = f"{root}/fhir"
callback = "http://127.0.0.1:8090/callback"


def people(url, user, deny=False):
    """Signs in, allows all that is ticked, and gives the address that the app is sent to."""
    browser = requests.Session()
    page = browser.get(url)
    for _ in range(4):
        assert page.status_code == 200, (page.status_code, page.text)
        fields = {html.unescape(n): html.unescape(v) for n, v in re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', page.text)}
        if 'action="/auth/login"' in page.text:
            step, more = "login", {"user": user, "password": password}
        elif 'action="/auth/pick"' in page.text:
            step, more = "pick", {"patient": patient}
        else:
            ticks = re.findall(r'type="checkbox" id="[^"]*" name="([^"]*)" checked', page.text)
            step, more = "consent", {"decision": "deny" if deny else "allow", **dict.fromkeys(ticks, "on")}
        page = browser.post(f"{root}/auth/{step}", data={**fields, **more}, allow_redirects=False)
        while page.status_code == 303:
            to = u.urljoin(root, page.headers["Location"])
            if not to.startswith(root):
                return to
            page = browser.get(to, allow_redirects=False)
    raise AssertionError(page.text)


# 1. SMART's own library for Python: discovery, PKCE, code, refresh, reading.
settings = {"app_id": "baton-demo-app", "api_base": base, "redirect_uri": callback,
            "scope": "launch/patient openid fhirUser offline_access patient/*.rs"}
smart = client.FHIRClient(settings=settings)
assert smart.prepare() is False, "it is not authorized yet"
smart.handle_callback(people(smart.authorize_url, "mara"))
assert smart.ready and smart.patient_id == patient, smart.patient_id
assert Patient.read(patient, smart.server).id == patient
found = smart.server.request_json("MedicationRequest?_count=1")
assert found["entry"], found
assert smart.reauthorize(), "a refresh token"
assert Patient.read(patient, smart.server).id == patient
print("fhirclient (Python): standalone launch and refresh")

# 2. A plain OAuth library, with what RFC 8414 metadata says.
meta = requests.get(f"{root}/.well-known/oauth-authorization-server").json()
scope = "openid fhirUser profile offline_access user/Task.rs"
plain = OAuth2Session("baton-demo-app", redirect_uri=callback, scope=scope, code_challenge_method="S256", token_endpoint_auth_method="none",
                      token_endpoint=meta["token_endpoint"])
verifier = "v" * 64
url, state = plain.create_authorization_url(meta["authorization_endpoint"], code_verifier=verifier, aud=base, nonce="n-1")
token = plain.fetch_token(authorization_response=people(url, "jonas"), code_verifier=verifier, state=state)
keys = requests.get(requests.get(f"{root}/.well-known/openid-configuration").json()["jwks_uri"]).json()
claims = jwt.decode(token["id_token"], keys)
claims.validate()
assert (claims["iss"], claims["aud"], claims["nonce"]) == (root, "baton-demo-app", "n-1"), claims
assert plain.get(claims["fhirUser"]).json()["id"] == "jonas-adler"
assert plain.get(f"{base}/Task?_summary=count").status_code == 200
old = token["refresh_token"]
new = plain.refresh_token(meta["token_endpoint"])
assert new["access_token"] != token["access_token"] and new["refresh_token"] != old
over = plain.revoke_token(meta["revocation_endpoint"], token=new["refresh_token"])
assert over.status_code == 200, over.text
assert requests.get(f"{base}/Task", headers={"Authorization": f"Bearer {new['access_token']}"}).status_code == 401
denied = u.parse_qs(u.urlsplit(people(plain.create_authorization_url(meta["authorization_endpoint"], code_verifier=verifier, aud=base)[0], "jonas", True)).query)
assert denied["error"] == ["access_denied"] and denied["iss"] == [root], denied
print("Authlib: code, id_token, refresh, revocation, a user who says no")

# 3. A program without people: assertions by the library, keys by address.
bulk = OAuth2Session("nightly", open(key).read(), scope="system/*.rs", token_endpoint_auth_method=PrivateKeyJWT(
    meta["token_endpoint"], alg="RS384", headers={"typ": "JWT", "kid": "one"}, claims={"exp": int(time.time()) + 120}))
bulk.register_client_auth_method(bulk.token_endpoint_auth_method)
token = bulk.fetch_token(meta["token_endpoint"], grant_type="client_credentials")
assert token["expires_in"] == 300 and "refresh_token" not in token, token
total = bulk.get(f"{base}/Patient?_summary=count").json()["total"]
assert total > 0, total
print(f"Authlib with a signed assertion: {total} patients of its organisation")
