//! Addresses that a registration, a Subscription or the settings name: keys of clients, keys and tokens of other issuers, and
//! where notifications go.
//!
//! Whoever may register an address must not reach our own network by it: https only, public addresses only - looked up once, and
//! what was looked up is what is connected to -, no redirect, no proxy, three seconds, 64 kB, nothing packed. A notification may
//! take ten seconds, and of its answer only the status is read.
//! A server that serves its own machine only (tests, trials, `baton demo`) may ask this machine, by http as well.
//! Source: security contract R49, A16; <https://www.iana.org/assignments/iana-ipv4-special-registry/> and its IPv6 sister.

use crate::error::{Error, Result};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Seconds that a question may take, connecting included.
const SECONDS: u64 = 3;
/// Bytes of an answer at most.
const MOST: usize = 64 << 10;

/// A client for such addresses.
#[derive(Debug, Clone)]
pub struct Fetcher {
    http: reqwest::Client,
    reach: Reach,
}

/// How far it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Public addresses, by https.
    Public,
    /// Those, and this machine, by http as well: of a server that serves its own machine only.
    Local,
    /// What an operator wrote into the settings: every address by https, this machine by http.
    Operator,
}

impl Reach {
    /// Whether an address may be asked at all; its host is judged again when it is connected to.
    ///
    /// # Errors
    /// [`Refused::Address`], [`Refused::Inside`].
    pub fn allows(self, address: &str) -> Result<Url, Refused> {
        let url = Url::parse(address).map_err(|_| Refused::Address)?;
        let host = url.host_str().unwrap_or_default();
        if host.is_empty() || !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(Refused::Address);
        }
        // The URL's parser has written 0x7f.1 and 2130706433 as 127.0.0.1. Numbers never come to the resolver.
        let number: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        let is_here = self != Reach::Public && (number.is_some_and(|ip| ip.is_loopback()) || host == "localhost");
        match url.scheme() {
            "https" => {}
            "http" if is_here => {}
            _ => return Err(Refused::Address),
        }
        match number {
            Some(ip) if !self.lets(ip) => Err(Refused::Inside),
            _ => Ok(url),
        }
    }

    fn lets(self, ip: IpAddr) -> bool {
        match self {
            Self::Public => is_public(ip),
            Self::Local => is_public(ip) || ip.is_loopback(),
            Self::Operator => true,
        }
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The body.
    pub text: String,
    /// `Cache-Control`, all of it.
    pub cache_control: Option<String>,
}

/// Why nothing came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Not https, or a user, a fragment or no host in it.
    Address,
    /// The host is no public one.
    Inside,
    /// Not in time.
    Timeout,
    /// No connection, no TLS, no such name (or one of no public address), or it broke.
    Unreachable,
    /// Another status than 200; a redirect is one of these.
    Status(u16),
    /// More than is read.
    TooLarge,
    /// Packed, or no UTF-8.
    Unreadable,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => f.write_str("the address is not https"),
            Self::Inside => f.write_str("the address is not public"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Unreachable => f.write_str("it cannot be reached, or has no public address"),
            Self::Status(status) => write!(f, "the answer is {status}"),
            Self::TooLarge => write!(f, "the answer is over {MOST} bytes"),
            Self::Unreadable => f.write_str("the answer is packed, or no text"),
        }
    }
}

impl Fetcher {
    /// Asks so far and no further.
    ///
    /// # Errors
    /// `Fault` when no TLS is to be had.
    pub fn new(reach: Reach) -> Result<Self> {
        super::install_tls();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(SECONDS))
            .pool_max_idle_per_host(0)
            .dns_resolver(Arc::new(Guarded(reach)))
            .build()
            .map_err(|e| Error::fault("no client for outgoing HTTP").caused_by(e))?;
        Ok(Self { http, reach })
    }

    /// As [`Reach::allows`].
    ///
    /// # Errors
    /// [`Refused::Address`], [`Refused::Inside`].
    pub fn allows(&self, address: &str) -> Result<Url, Refused> {
        self.reach.allows(address)
    }

    /// Asks for JSON; that it is JSON is for the caller to see.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn json(&self, address: &str) -> Result<Fetched, Refused> {
        read(self.http.get(self.allows(address)?)).await
    }

    /// Posts FHIR with these headers; every 2xx is good, and nothing but the status is read.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn notify(
        &self,
        address: &str,
        headers: &[(String, String)],
        body: Vec<u8>,
        seconds: u64,
    ) -> Result<(), Refused> {
        let mut request = self.http.post(self.allows(address)?).body(body).timeout(Duration::from_secs(seconds));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        // Ours is the last word about what it is.
        let request = request.header("content-type", "application/fhir+json");
        match request.send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(Refused::Status(answer.status().as_u16())),
            Err(error) if error.is_timeout() => Err(Refused::Timeout),
            Err(_) => Err(Refused::Unreachable),
        }
    }

    /// Posts a form, with a value of `Authorization` where there is one, and reads the JSON that comes back.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn form(&self, address: &str, form: String, authorization: Option<&str>) -> Result<Fetched, Refused> {
        let mut request = self.http.post(self.allows(address)?).body(form);
        request = request.header("content-type", "application/x-www-form-urlencoded");
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        read(request).await
    }
}

async fn read(request: reqwest::RequestBuilder) -> Result<Fetched, Refused> {
    let trouble = |e: reqwest::Error| if e.is_timeout() { Refused::Timeout } else { Refused::Unreachable };
    let mut response = request.header("accept", "application/json").send().await.map_err(trouble)?;
    if response.status().as_u16() != 200 {
        return Err(Refused::Status(response.status().as_u16()));
    }
    let all = |name: &str| {
        let values = response.headers().get_all(name).iter().filter_map(|v| v.to_str().ok());
        Some(values.collect::<Vec<_>>().join(", ")).filter(|v| !v.is_empty())
    };
    if all("content-encoding").is_some_and(|e| !e.eq_ignore_ascii_case("identity")) {
        return Err(Refused::Unreadable);
    }
    let cache_control = all("cache-control");
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(trouble)? {
        if body.len() + part.len() > MOST {
            return Err(Refused::TooLarge);
        }
        body.extend_from_slice(&part);
    }
    let text = String::from_utf8(body).map_err(|_| Refused::Unreadable)?;
    Ok(Fetched { text, cache_control })
}

/// Names to public addresses: what it gives is what is connected to, so that a name cannot change its mind in between.
struct Guarded(Reach);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let good: Vec<SocketAddr> = found.filter(|a| reach.lets(a.ip())).collect();
            if good.is_empty() {
                return Err("the name has no public address".into());
            }
            let good: Addrs = Box::new(good.into_iter());
            Ok(good)
        })
    }
}

/// Whether an address is of the internet at large: no private, local, shared, documentation, multicast, translated or tunnelled one.
#[must_use]
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    )
}

/// Global unicast (2000::/3), without what leads to an IPv4 address (Teredo, 6to4) and what is for books.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    (0x2000..=0x3fff).contains(&a) && !matches!((a, b), (0x2001, 0..=0x1ff | 0xdb8) | (0x2002, _) | (0x3fff, 0..=0xfff))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// security A16: Private, local, translated and tunnelled addresses in every spelling are not asked.
    /// security R49: Only https, and only public addresses.
    #[test]
    fn addresses_as_a_table() {
        let operator = Fetcher::new(Reach::Operator).unwrap();
        let (outside, local) = (Fetcher::new(Reach::Public).unwrap(), Fetcher::new(Reach::Local).unwrap());
        for (address, from_outside, from_here) in [
            ("https://keys.example/jwks", Ok(()), Ok(())),
            ("https://93.184.215.14/jwks", Ok(()), Ok(())),
            ("https://[2606:2800:21f::1]:8443/jwks", Ok(()), Ok(())),
            ("http://keys.example/jwks", Err(Refused::Address), Err(Refused::Address)),
            ("http://127.0.0.1/jwks", Err(Refused::Address), Ok(())),
            ("http://localhost/jwks", Err(Refused::Address), Ok(())),
            ("http://localhost.evil.example/jwks", Err(Refused::Address), Err(Refused::Address)),
            ("https://127.0.0.1/jwks", Err(Refused::Inside), Ok(())),
            ("https://2130706433/", Err(Refused::Inside), Ok(())),
            ("https://0x7f.1/", Err(Refused::Inside), Ok(())),
            ("https://0177.0.0.1/", Err(Refused::Inside), Ok(())),
            ("https://[::1]/", Err(Refused::Inside), Ok(())),
            ("https://0.0.0.0/", Err(Refused::Inside), Err(Refused::Inside)),
            ("https://10.1.2.3/", Err(Refused::Inside), Err(Refused::Inside)),
            ("https://172.31.0.1/", Err(Refused::Inside), Err(Refused::Inside)),
            ("https://192.168.1.1/", Err(Refused::Inside), Err(Refused::Inside)),
            ("https://100.64.0.1/", Err(Refused::Inside), Err(Refused::Inside)),
            ("https://169.254.169.254/latest/meta-data", Err(Refused::Inside), Err(Refused::Inside)),
            ("https://[::ffff:127.0.0.1]/", Err(Refused::Inside), Err(Refused::Inside)),
            ("https://[::ffff:169.254.169.254]/", Err(Refused::Inside), Err(Refused::Inside)),
            ("https://[64:ff9b::a9fe:a9fe]/", Err(Refused::Inside), Err(Refused::Inside)),
            ("https://[2002:7f00:1::]/", Err(Refused::Inside), Err(Refused::Inside)),
            ("https://[2001:0:1::]/", Err(Refused::Inside), Err(Refused::Inside)),
            ("https://[fd00::1]/", Err(Refused::Inside), Err(Refused::Inside)),
            ("https://[fe80::1]/", Err(Refused::Inside), Err(Refused::Inside)),
            ("https://[ff02::1]/", Err(Refused::Inside), Err(Refused::Inside)),
            ("https://user@keys.example/", Err(Refused::Address), Err(Refused::Address)),
            ("https://keys.example/#x", Err(Refused::Address), Err(Refused::Address)),
            ("ftp://keys.example/", Err(Refused::Address), Err(Refused::Address)),
            ("file:///etc/passwd", Err(Refused::Address), Err(Refused::Address)),
            ("gopher://127.0.0.1/", Err(Refused::Address), Err(Refused::Address)),
            ("", Err(Refused::Address), Err(Refused::Address)),
        ] {
            assert_eq!(outside.allows(address).map(|_| ()), from_outside, "{address}");
            assert_eq!(local.allows(address).map(|_| ()), from_here, "{address}, for this machine alone");
            // What an operator writes may lead inside, but never by http beyond this machine.
            let is_https = address.starts_with("https://") && from_outside != Err(Refused::Address);
            assert_eq!(operator.allows(address).is_ok(), is_https || from_here.is_ok(), "{address}, of the settings");
        }
    }

    /// security A16: A name that leads inside is not connected to.
    #[tokio::test]
    async fn a_name_of_an_inner_address_is_not_connected_to() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
        assert_eq!(Fetcher::new(Reach::Public).unwrap().json(&address).await, Err(Refused::Unreachable));
        let nobody = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(nobody.is_err(), "somebody connected");
    }
}
