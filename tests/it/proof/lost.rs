//! Law 2 when PostgreSQL goes away in the middle of a request: 503 and never 500, nothing stored behind a refusal, and a
//! COMMIT whose answer got lost is neither forgotten nor done twice.

use crate::harness::{Client, Database, Settings, TestServer, postgres, with_database};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Between Baton and PostgreSQL, and in the way.
#[derive(Clone)]
struct Wire {
    port: u16,
    says: Arc<Says>,
}

#[derive(Default)]
struct Says {
    /// The connection is cut before the server's so-many-th packet gets through; 0 for none.
    cut_at: AtomicI64,
    /// The connection is cut before the answer to the COMMIT of a Patient gets through: others commit,
    /// too, as who seals the audit.
    cuts_commit: AtomicBool,
    /// After a cut nobody connects.
    closes: AtomicBool,
    /// Nobody connects, and open connections end at their next packet.
    is_closed: AtomicBool,
    /// Nothing gets through, and nobody is told.
    is_stuck: AtomicBool,
}

impl Wire {
    /// A wire to the server of a database URL, and the URL through it.
    async fn to(url: &str) -> (Self, String) {
        let (before, after) = url.rsplit_once(':').expect("a port");
        let (server, name) = after.split_once('/').expect("a database");
        let server: u16 = server.parse().expect("a port");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
        let wire = Self { port: listener.local_addr().expect("an address").port(), says: Arc::default() };
        let says = wire.says.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if !says.is_closed.load(Ordering::SeqCst) {
                    tokio::spawn(carry(client, server, says.clone()));
                }
            }
        });
        let url = format!("{before}:{}/{name}", wire.port);
        (wire, url)
    }

    fn cut_at(&self, packet: i64) {
        self.says.cut_at.store(packet, Ordering::SeqCst);
    }

    fn cut_commit(&self) {
        self.says.cuts_commit.store(true, Ordering::SeqCst);
    }

    fn close(&self, is_closed: bool) {
        self.says.is_closed.store(is_closed, Ordering::SeqCst);
    }

    fn stick(&self, is_stuck: bool) {
        self.says.is_stuck.store(is_stuck, Ordering::SeqCst);
    }
}

/// One connection, until it is cut.
async fn carry(mut client: TcpStream, server: u16, says: Arc<Says>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut is_of_a_patient = false;
    loop {
        tokio::select! {
            n = client.read(&mut up) => {
                let Ok(n @ 1..) = n else { return };
                is_of_a_patient |= holds(&up[..n], br#""resourceType":"Patient""#);
                if server.write_all(&up[..n]).await.is_err() { return }
            }
            n = server.read(&mut down) => {
                let Ok(n @ 1..) = n else { return };
                if says.is_closed.load(Ordering::SeqCst) {
                    return;
                }
                while says.is_stuck.load(Ordering::SeqCst) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                let counted = says.cut_at.load(Ordering::SeqCst) > 0 && says.cut_at.fetch_sub(1, Ordering::SeqCst) == 1;
                let committed = holds(&down[..n], b"COMMIT\0") && std::mem::take(&mut is_of_a_patient);
                if counted || (committed && says.cuts_commit.swap(false, Ordering::SeqCst)) {
                    says.is_closed.fetch_or(says.closes.load(Ordering::SeqCst), Ordering::SeqCst);
                    return;
                }
                if client.write_all(&down[..n]).await.is_err() { return }
            }
        }
    }
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|w| w == part)
}

/// A server whose database is at the other end of a wire; nothing where PostgreSQL is skipped.
fn on_a_wire<F: Future<Output = ()>>(arguments: &[&str], story: impl FnOnce(TestServer, Wire) -> F) {
    with_database(Database::Postgres, |mut settings: Settings| async move {
        let (wire, url) = Wire::to(&settings.database_url).await;
        settings.database_url = url;
        settings.arguments.extend(arguments.iter().map(ToString::to_string));
        let server = TestServer::start(settings).await;
        story(server, wire.clone()).await;
        wire.close(false);
        wire.stick(false);
    });
}

fn patient(number: &str) -> Value {
    json!({"resourceType": "Patient", "identifier": [{"system": "http://lost.example/n", "value": number}]})
}

async fn stored(client: &Client, number: &str) -> usize {
    client.search(&format!("Patient?identifier=http://lost.example/n|{number}")).await.len()
}

#[test]
fn a_write_that_loses_its_connection_at_any_moment_is_stored_once() {
    on_a_wire(&[], |server, wire| async move {
        let client = server.everyone();
        let mut cuts = 0;
        for packet in 1..=6 {
            let number = format!("cut-{packet}");
            wire.cut_at(packet);
            client.create(&patient(&number)).await.is(201);
            cuts += i64::from(wire.says.cut_at.load(Ordering::SeqCst) <= 0);
            wire.cut_at(0);
            assert_eq!(stored(&client, &number).await, 1, "cut before packet {packet}");
        }
        assert!(cuts >= 3, "BEGIN, the rows and COMMIT were each cut once, not {cuts} in all");
    });
}

#[test]
fn a_commit_whose_answer_is_lost_is_still_a_201() {
    on_a_wire(&[], |server, wire| async move {
        let client = server.everyone();
        for n in 0..5 {
            wire.cut_commit();
            let made = client.create(&patient(&format!("c{n}"))).await.is(201);
            assert!(!wire.says.cuts_commit.load(Ordering::SeqCst), "the commit was cut");
            assert_eq!(stored(&client, &format!("c{n}")).await, 1);
            let reference = made.reference();
            wire.cut_commit();
            let mut body = patient(&format!("u{n}"));
            body["id"] = reference.trim_start_matches("Patient/").into();
            let changed = client.send("PUT", &reference, body.to_string(), &[("If-Match", "W/\"1\"")]).await.is(200);
            assert_eq!(changed.header("etag"), "W/\"2\"", "done once");
        }
    });
}

#[test]
fn a_commit_that_the_server_gives_up_is_done_again() {
    with_database(Database::Postgres, |settings: Settings| async move {
        let url = settings.database_url.clone();
        let server = TestServer::start(settings).await;
        let client = server.everyone();
        // The backend ends itself in the middle of its first COMMIT.
        postgres::execute(
            &url,
            "CREATE SEQUENCE deaths;
             CREATE FUNCTION dies() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF nextval('deaths') <= 2 THEN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(5); END IF;
                 RETURN NULL; END $$;
             CREATE CONSTRAINT TRIGGER dies AFTER INSERT ON version DEFERRABLE INITIALLY DEFERRED
                 FOR EACH ROW EXECUTE FUNCTION dies();",
        );
        client.create(&patient("again")).await.is(201);
        assert_eq!(stored(&client, "again").await, 1);
        client.create(&patient("after")).await.is(201);
    });
}

#[test]
fn a_commit_that_nobody_knows_of_says_so() {
    on_a_wire(&[], |server, wire| async move {
        let client = server.everyone();
        client.create(&patient("before")).await.is(201);
        wire.says.closes.store(true, Ordering::SeqCst);
        wire.cut_commit();
        let answer = client.create(&patient("unknown")).await;
        answer.refuses(503, "transient", "");
        assert_eq!(answer.header("retry-after"), "1");
        let said = answer.body["issue"][0]["diagnostics"].as_str().unwrap_or_default();
        assert!(said.contains("is unknown") && said.contains("If-None-Exist"), "{said}");
        wire.says.closes.store(false, Ordering::SeqCst);
        wire.close(false);
        let again = client.create_if_none(&patient("unknown"), "identifier=http://lost.example/n|unknown").await;
        assert_eq!(again.status, 200, "it was stored, and sending it again is safe");
        assert_eq!(stored(&client, "unknown").await, 1);
    });
}

#[test]
fn without_its_database_every_request_is_503_and_later_all_is_well() {
    on_a_wire(&["--query-seconds", "1"], |server, wire| async move {
        let client = server.everyone();
        let path = client.create(&patient("x")).await.is(201).reference();
        let batch = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
            {"resource": patient("y"), "request": {"method": "POST", "url": "Patient"}}]});
        for is_stuck in [false, true] {
            if is_stuck {
                wire.stick(true);
            } else {
                wire.close(true);
            }
            for (method, url, body) in [
                ("GET", path.as_str(), String::new()),
                ("GET", "Patient?identifier=y", String::new()),
                ("GET", "Patient/_history", String::new()),
                ("POST", "", batch.to_string()),
                ("POST", "Patient", patient("z").to_string()),
                ("DELETE", &path, String::new()),
            ] {
                if is_stuck && method != "GET" {
                    continue; // a write is waited for longer than this test wants to
                }
                let start = Instant::now();
                let answer = client.send(method, url, body, &[]).await;
                answer.refuses(503, "transient", "");
                assert_eq!(answer.header("retry-after"), "1", "{method} {url}");
                assert!(start.elapsed() < Duration::from_secs(12), "{method} {url} took {:?}", start.elapsed());
            }
            wire.close(false);
            wire.stick(false);
            let start = Instant::now();
            while client.read(&path).await.status != 200 {
                assert!(start.elapsed() < Duration::from_secs(10), "Baton did not find PostgreSQL back");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            for number in ["y", "z"] {
                assert_eq!(stored(&client, number).await, 0, "{number}: refused and stored");
            }
        }
    });
}

#[test]
fn without_its_database_a_good_token_is_no_bad_one() {
    on_a_wire(&["--auth", "embedded"], |server, wire| async move {
        let client = server.everyone();
        let seed: Value = serde_json::from_str(include_str!("../../../profiles/demo/seed.json")).expect("JSON");
        let clients = seed["clients"].as_array().expect("clients");
        let secret = clients.iter().find(|c| c["id"] == "lakeside-ehr").expect("a client")["secret"].as_str();
        let form = format!(
            "grant_type=client_credentials&client_id=lakeside-ehr&client_secret={}&scope=system/Patient.rs",
            secret.expect("a secret")
        );
        let ask =
            || client.send("POST", "/auth/token", &form, &[("Content-Type", "application/x-www-form-urlencoded")]);
        let answer = ask().await.is(200);
        let token = format!("Bearer {}", answer.body["access_token"].as_str().expect("a token"));
        let bearer = [("Authorization", token.as_str())];
        let search = || client.send("GET", "Patient", "", &bearer);
        search().await.is(200);
        wire.close(true);
        for _ in 0..3 {
            let refused = ask().await.is(503);
            assert_eq!(refused.body["error"], "temporarily_unavailable");
            assert_eq!(refused.header("retry-after"), "1");
            search().await.refuses(503, "transient", "");
        }
        wire.close(false);
        let start = Instant::now();
        while search().await.status != 200 {
            assert!(start.elapsed() < Duration::from_secs(10), "Baton did not find PostgreSQL back");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        ask().await.is(200);
    });
}

#[test]
fn a_server_without_a_database_says_why_in_one_sentence() {
    with_database(Database::Sqlite, |mut settings: Settings| async move {
        settings.database_url = format!("postgres://nobody@127.0.0.1:{}/none", postgres::free_port());
        for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate"], &["token", "jonas"]] {
            let start = Instant::now();
            let (succeeded, text) = settings.run(command);
            assert!(!succeeded, "{command:?}");
            assert!(start.elapsed() < Duration::from_secs(5), "{command:?}");
            let said: Vec<&str> = text.lines().filter(|l| l.starts_with("baton: ")).collect();
            assert_eq!(said.len(), 1, "{text}");
            assert!(said[0].contains("cannot be reached") && said[0].matches("refused").count() == 1, "{text}");
        }
    });
    with_database(Database::Postgres, |settings: Settings| async move {
        let (server, _) = settings.database_url.rsplit_once('/').expect("a database");
        let url = format!("{server}/no_such_database");
        let (succeeded, text) = settings.run(&["serve", "--listen", "127.0.0.1:0", "--database-url", &url]);
        assert!(!succeeded && text.contains("has no database 'no_such_database'"), "{text}");
    });
}
