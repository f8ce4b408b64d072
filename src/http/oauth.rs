//! The paths of the authorization server, and which browsers may read an answer.
//!
//! Not for: what the pages and endpoints say (`auth`).
//! Source: <https://fetch.spec.whatwg.org/#http-cors-protocol>. Registered origins alone, and never credentials.

use super::respond::{self, Face};
use super::routes;
use super::{Shared, body};
use crate::auth::page::{self, PageRequest};
use crate::auth::witness::Scene;
use crate::auth::{OAuthAnswer, TokenRequest, admin, discovery, endpoint, introspect, launch};
use crate::clock::Instant;
use crate::config::{AuthMode, Limits};
use crate::error::{Error, Result};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};

/// Endpoints for programs; all take POST.
const ENDPOINTS: [&str; 4] = ["/auth/token", "/auth/introspect", "/auth/revoke", "/auth/launch"];
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
const HEADERS: &str = "Accept, Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Exist, If-None-Match, Prefer, X-Provenance, X-Request-Id";
const EXPOSED: &str = "Content-Location, ETag, Last-Modified, Location, Preference-Applied, Retry-After, WWW-Authenticate, X-Progress, X-Request-Id";

/// Whether a path is answered here.
pub(super) fn has(method: &Method, path: &str) -> bool {
    match page::PATHS.iter().find(|(own, _)| is_of(own, path)) {
        Some((_, methods)) => methods.split(", ").any(|m| m == method.as_str()),
        None if method == Method::POST && ENDPOINTS.contains(&path) => true,
        None => {
            let methods = admin::PATHS.iter().find(|(own, _)| is_of(own, path)).map(|(_, methods)| methods.split(", "));
            methods.is_some_and(|mut methods| methods.any(|m| m == method.as_str()))
        }
    }
}

/// Whether a path is of a pattern: `{id}` in it stands for one segment.
pub(super) fn is_of(pattern: &str, path: &str) -> bool {
    let same = |(own, segment): (&str, &str)| own == segment || (own == "{id}" && !segment.is_empty());
    pattern.split('/').count() == path.split('/').count() && pattern.split('/').zip(path.split('/')).all(same)
}

/// Whether a path is of an authorization server, and this server has none.
pub(super) fn is_elsewhere(shared: &Shared, path: &str) -> bool {
    const DOCUMENTS: [&str; 2] = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"];
    let is_own = path == "/auth" || path.starts_with("/auth/") || DOCUMENTS.contains(&path);
    is_own && shared.house.auth.mode() == AuthMode::External
}

/// What such a path answers.
pub(super) fn elsewhere() -> Error {
    Error::not_found("no tokens are given here; /fhir/.well-known/smart-configuration says where they are")
}

/// A public document of that path.
pub(super) async fn document(shared: &Shared, path: &str) -> Option<Result<serde_json::Value>> {
    let auth = &shared.house.auth;
    match path {
        "/fhir/.well-known/smart-configuration" if auth.mode() == AuthMode::External => {
            Some(auth.external.smart_configuration(Instant::now()).await)
        }
        "/fhir/.well-known/smart-configuration" => Some(Ok(discovery::smart_configuration(&auth.parties))),
        "/.well-known/openid-configuration" => Some(Ok(discovery::openid_configuration(&auth.parties))),
        "/.well-known/oauth-authorization-server" => Some(Ok(discovery::authorization_server(&auth.parties))),
        _ => None,
    }
}

/// Answers one of them.
pub(super) async fn answer(shared: &Shared, request: &HttpRequest, payload: web::Payload, face: &Face) -> HttpResponse {
    let house = &shared.house;
    let limits = Limits { body_bytes: 64 << 10, ..house.limits.clone() };
    let bytes = match body::read(request, payload, &limits).await {
        Ok(bytes) => bytes,
        Err(error) => return respond::failure(face, &error, None),
    };
    let all = |name: &str| request.headers().get_all(name).map(|v| v.to_str().unwrap_or_default()).collect();
    let content_type = request.headers().get("content-type").and_then(|v| v.to_str().ok());
    let (path, now) = (request.path(), Instant::now());
    let address = routes::address(shared, request).unwrap_or_default();
    if page::PATHS.iter().any(|(own, _)| is_of(own, path)) {
        let asked = PageRequest {
            is_post: request.method() == Method::POST,
            query: request.query_string(),
            content_type,
            body: &bytes,
            cookies: all("cookie"),
            authorization: all("authorization"),
            address: address.to_string(),
            request_id: &face.request_id,
        };
        return respond::oauth(face, page::answer(&house.auth, path, &asked, now).await);
    }
    let asked = TokenRequest {
        content_type,
        has_query: !request.query_string().is_empty(),
        authorization: all("authorization"),
        body: &bytes,
        scene: Scene { address: &address, request_id: &face.request_id },
    };
    let answer: OAuthAnswer = match path {
        "/auth/introspect" => introspect::introspect(&house.auth, &asked, now).await,
        "/auth/revoke" => introspect::revoke(&house.auth, &asked, now).await,
        "/auth/launch" => launch::mint(&house.auth, &asked, now).await,
        _ if !ENDPOINTS.contains(&path) => {
            admin::answer(&house.auth, request.method().as_str(), path, &asked, now).await
        }
        _ => endpoint::token(&house.auth, &asked, now).await,
    };
    respond::oauth(face, answer)
}

/// Paths that a browser's program calls.
fn is_api(path: &str) -> bool {
    path == "/fhir" || path.starts_with("/fhir/") || ENDPOINTS.contains(&path)
}

async fn origin<'a>(shared: &Shared, request: &'a HttpRequest) -> Option<&'a HeaderValue> {
    let mut all = request.headers().get_all(header::ORIGIN);
    let (Some(origin), None) = (all.next(), all.next()) else { return None };
    let text = origin.to_str().ok().filter(|_| is_api(request.path()))?;
    shared.house.auth.lets_origin(text, Instant::now()).await.then_some(origin)
}

/// The answer to a preflight of a registered origin; `None` to every other.
pub(super) async fn preflight(shared: &Shared, request: &HttpRequest, face: &Face) -> Option<HttpResponse> {
    request.headers().get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
    origin(shared, request).await?;
    let mut answer = respond::text(face, 204, String::new());
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Some(answer)
}

/// Says who may read the answer: a registered origin; anybody where it is public.
pub(super) async fn cors(shared: &Shared, request: &HttpRequest, answer: &mut HttpResponse) {
    if !request.headers().contains_key(header::ORIGIN) {
        return;
    }
    if request.path() == "/fhir/metadata" {
        answer.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        return;
    }
    if answer.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        return;
    }
    if let Some(origin) = origin(shared, request).await {
        let headers = answer.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
}
