//! Subscriptions as their receivers meet them: a real endpoint on loopback, a real server, and what it refuses.
//! Source: <https://hl7.org/fhir/R4/subscription.html>, the backport of R5's subscriptions, the security contract (R53, A39, A40, leak path 15).

mod refused;
mod told;

use crate::harness::{Client, TestServer};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// How long a test waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(40);
const BACKPORT: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/";

/// An endpoint of a subscriber.
struct Receiver {
    address: String,
    /// What it answers; 0: nothing, and it does not hang up.
    status: Arc<AtomicU16>,
    notices: mpsc::UnboundedReceiver<Notice>,
}

/// What was sent there.
#[derive(Debug)]
struct Notice {
    /// Head of the request, in small letters.
    head: String,
    body: Value,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let (status, (send, notices)) = (Arc::new(AtomicU16::new(200)), mpsc::unbounded_channel());
        let says = Arc::clone(&status);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (says, send) = (Arc::clone(&says), send.clone());
                tokio::spawn(async move {
                    let mut socket = socket;
                    let Some(notice) = heard(&mut socket).await else { return };
                    // Looked at before the test hears of it, which may want another answer to the next one.
                    let status = says.load(Ordering::SeqCst);
                    send.send(notice).ok();
                    match status {
                        0 => std::future::pending::<()>().await,
                        status => {
                            let answer = format!(
                                "HTTP/1.1 {status} X\r\nContent-Length: 0\r\nLocation: http://127.0.0.1:1/\r\n\r\n"
                            );
                            socket.write_all(answer.as_bytes()).await.ok();
                        }
                    }
                });
            }
        });
        Self { address, status, notices }
    }

    fn answers(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    async fn next(&mut self) -> Notice {
        tokio::time::timeout(PATIENCE, self.notices.recv()).await.expect("a notification").expect("a receiver")
    }

    /// The next one, which must tell of events.
    async fn event(&mut self) -> Notice {
        let notice = self.next().await;
        assert_eq!(notice.says("type"), "event-notification", "{notice:?}");
        notice
    }

    async fn shakes_hands(&mut self) {
        let notice = self.next().await;
        assert_eq!(notice.says("type"), "handshake", "{notice:?}");
        assert_eq!(notice.body["entry"].as_array().map(Vec::len), Some(1), "{notice:?}");
    }

    fn heard_nothing(&mut self) {
        assert!(self.notices.try_recv().is_err());
    }
}

/// One request to its end.
async fn heard(socket: &mut TcpStream) -> Option<Notice> {
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 8192];
        let n = socket.read(&mut part).await.ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&part[..n]);
        let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let length = head.lines().find_map(|l| l.strip_prefix("content-length:"))?.trim().parse::<usize>().ok()?;
        if bytes.len() >= end + 4 + length {
            let body = serde_json::from_slice(&bytes[end + 4..]).expect("JSON");
            return Some(Notice { head, body });
        }
    }
}

impl Notice {
    fn status(&self) -> &Value {
        &self.body["entry"][0]["resource"]
    }

    /// A parameter of the status.
    fn says(&self, name: &str) -> String {
        said(self.status(), name)
    }

    /// Number and focus of each event.
    fn events(&self) -> Vec<(String, String)> {
        let all =
            self.status()["parameter"].as_array().into_iter().flatten().filter(|p| p["name"] == "notification-event");
        let part = |p: &Value, name: &str| said(&json!({"parameter": p["part"]}), name);
        all.map(|p| (part(p, "event-number"), part(p, "focus"))).collect()
    }

    /// `Type/id` of what it tells of.
    fn about(&self) -> Vec<String> {
        let short = |url: String| url.split_once("/fhir/").map(|(_, rest)| rest.to_owned()).unwrap_or_default();
        self.events().into_iter().map(|(_, focus)| short(focus)).collect()
    }
}

fn said(parameters: &Value, name: &str) -> String {
    let all = parameters["parameter"].as_array().into_iter().flatten();
    let value = all.filter(|p| p["name"] == name).find_map(|p| {
        let (_, value) = p.as_object()?.iter().find(|(key, _)| key.starts_with("value"))?;
        Some(value.clone())
    });
    match value.unwrap_or_default() {
        Value::String(text) => text,
        Value::Object(object) => {
            let text = object.get("reference").or_else(|| object.get("text")).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        }
        _ => String::new(),
    }
}

/// A Subscription that asks for ids.
fn hook(criteria: &str, endpoint: &str) -> Value {
    json!({"resourceType": "Subscription", "status": "requested", "reason": "to test it", "criteria": criteria,
        "channel": {"type": "rest-hook", "endpoint": endpoint, "payload": "application/fhir+json"}})
}

/// Waits until a Subscription has a status; it as it is then.
async fn stands(server: &TestServer, path: &str, status: &str) -> Value {
    let started = Instant::now();
    loop {
        let body = server.read(path).await;
        if body["status"] == status {
            return body;
        }
        assert!(started.elapsed() < PATIENCE, "not {status}: {body:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What `$status` says, once it is so.
async fn status_of(client: &Client, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let started = Instant::now();
    loop {
        let body = client.read(&format!("{path}/$status")).await.ok().body["entry"][0]["resource"].clone();
        if is_so(&body) {
            return body;
        }
        assert!(started.elapsed() < PATIENCE, "{body:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A Subscription of a client, once its endpoint has shaken hands.
async fn subscribed(server: &TestServer, client: &Client, criteria: &str, receiver: &mut Receiver) -> String {
    let path = client.create(&hook(criteria, &receiver.address)).await.is(201).reference();
    receiver.shakes_hands().await;
    stands(server, &path, "active").await;
    path
}

fn patient(name: &str, is_active: bool) -> Value {
    json!({"resourceType": "Patient", "active": is_active, "name": [{"family": name}]})
}
