//! A small OpenID provider of the tests' own: it says what it is told to, on this machine, with real keys.

use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What it says and what it was asked.
#[derive(Default)]
pub struct Script {
    /// Members of its discovery that differ.
    pub discovery: Value,
    pub jwks: Value,
    /// Status and body at the token endpoint.
    pub token: (u16, String),
    /// (form, Authorization) of the last request there.
    pub asked: Option<(String, String)>,
}

pub struct Op {
    pub issuer: String,
    pub script: Arc<Mutex<Script>>,
}

impl Op {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let issuer = format!("http://{}/op", listener.local_addr().expect("an address"));
        let script = Arc::new(Mutex::new(Script { token: (400, "{}".into()), ..Script::default() }));
        let (own, shared) = (issuer.clone(), Arc::clone(&script));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(answer(socket, own.clone(), Arc::clone(&shared)));
            }
        });
        Self { issuer, script }
    }

    pub fn publishes(&self, keys: &[Value]) {
        self.script.lock().expect("a script").jwks = json!({ "keys": keys });
    }

    pub fn gives(&self, id_token: &str, access_token: &str) {
        let body =
            json!({"id_token": id_token, "access_token": access_token, "token_type": "Bearer", "expires_in": 60});
        self.script.lock().expect("a script").token = (200, body.to_string());
    }

    pub fn asked(&self) -> Option<(String, String)> {
        self.script.lock().expect("a script").asked.take()
    }
}

async fn answer(mut socket: TcpStream, issuer: String, script: Arc<Mutex<Script>>) {
    let Some((head, body)) = request(&mut socket).await else { return };
    let path = head.split(' ').nth(1).unwrap_or_default();
    let (status, said) = match path {
        "/op/.well-known/openid-configuration" => {
            let mut document = json!({"issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize?kept=1"),
                "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/jwks")});
            for (name, value) in script.lock().expect("a script").discovery.as_object().into_iter().flatten() {
                document[name.as_str()] = value.clone();
            }
            (200, document.to_string())
        }
        "/op/jwks" => (200, script.lock().expect("a script").jwks.to_string()),
        "/op/token" => {
            let header = |l: &str| l.to_ascii_lowercase().starts_with("authorization: ").then(|| l[15..].to_owned());
            let authorization = head.lines().find_map(header).unwrap_or_default();
            let mut script = script.lock().expect("a script");
            script.asked = Some((body, authorization));
            script.token.clone()
        }
        _ => (404, String::new()),
    };
    let answer = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nCache-Control: no-store\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{said}",
        said.len()
    );
    socket.write_all(answer.as_bytes()).await.ok();
}

/// The head and the body.
async fn request(socket: &mut TcpStream) -> Option<(String, String)> {
    let mut all = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&all).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some((head.to_owned(), body.to_owned()));
            }
        }
        let mut part = [0; 4096];
        match socket.read(&mut part).await {
            Ok(n) if n > 0 => all.extend_from_slice(&part[..n]),
            _ => return None,
        }
    }
}
