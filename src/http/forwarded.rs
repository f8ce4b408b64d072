//! Whose request it is, behind a proxy: `X-Forwarded-For`, from proxies of the settings and from nobody else.
//!
//! For: who must wait after failed logins, and the audit. Never for links, issuer or audience.
//! Source: <https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/X-Forwarded-For> (the header's order); own rule: the last
//! address that no trusted proxy has.

use crate::config::Network;
use std::net::IpAddr;

/// The client's address. `peer`: the connection's own; `headers`: all `X-Forwarded-For`, in order.
pub(super) fn client<'a>(
    peer: IpAddr,
    headers: impl DoubleEndedIterator<Item = &'a str>,
    trusted: &[Network],
) -> IpAddr {
    let is_trusted = |ip: IpAddr| trusted.iter().any(|n| n.holds(ip));
    let peer = peer.to_canonical();
    let mut client = peer;
    if !is_trusted(peer) {
        return client;
    }
    // From the last hop on: what stands before the first stranger is the stranger's own words.
    for hop in headers.rev().flat_map(|h| h.rsplit(',')) {
        let Ok(ip) = hop.trim().trim_matches(['[', ']']).parse::<IpAddr>() else { break };
        let ip = ip.to_canonical();
        client = ip;
        if !is_trusted(ip) {
            break;
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use super::client;
    use crate::config::Network;
    use std::net::IpAddr;

    /// security A62: `X-Forwarded-For` is heeded from the proxies of the settings alone, and from the last hop on.
    #[test]
    fn a_stranger_is_not_believed() {
        let trusted: Vec<Network> = ["10.0.0.0/8", "2001:db8::5"].iter().map(|n| Network::parse(n).unwrap()).collect();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (peer, headers, is) in [
            ("192.0.2.1", &["198.51.100.7"][..], "192.0.2.1"),
            ("10.1.2.3", &["198.51.100.7"], "198.51.100.7"),
            ("2001:db8::5", &["198.51.100.7"], "198.51.100.7"),
            ("2001:db8::6", &["198.51.100.7"], "2001:db8::6"),
            ("10.1.2.3", &["1.1.1.1, 198.51.100.7, 10.9.9.9"], "198.51.100.7"),
            ("10.1.2.3", &["1.1.1.1", "198.51.100.7"], "198.51.100.7"),
            ("10.1.2.3", &["1.1.1.1, unknown"], "10.1.2.3"),
            ("10.1.2.3", &["10.1.1.1"], "10.1.1.1"),
            ("10.1.2.3", &["[2001:db8::9]"], "2001:db8::9"),
            ("::ffff:10.1.2.3", &["198.51.100.7"], "198.51.100.7"),
            ("10.1.2.3", &[], "10.1.2.3"),
        ] {
            assert_eq!(client(ip(peer), headers.iter().copied(), &trusted), ip(is), "{peer} {headers:?}");
        }
        assert_eq!(client(ip("10.1.2.3"), ["198.51.100.7"].into_iter(), &[]), ip("10.1.2.3"), "none unless it is said");
    }
}
