//! How many connections one address may hold at a time: who opens thousands and says nothing takes no place from others.
//!
//! One more than that is closed at once, before anything of it is read. Proxies that are trusted hold as many as they like: they speak
//! for others. Not for: how often somebody asks ([`super::throttle`]), or how long a connection may be silent (`header-seconds`).
//! Source: own rule; security contract, attack row 61.

use crate::config::Network;
use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use std::any::Any;
use std::collections::HashMap;
use std::net::{IpAddr, Shutdown};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

/// Connections by address.
pub(super) struct Crowd {
    /// Connections of one address; 0: no limit.
    most: usize,
    trusted: Vec<Network>,
    held: Mutex<HashMap<String, usize>>,
}

/// The place of one connection, until it is dropped with it.
pub(super) struct Place {
    crowd: Arc<Crowd>,
    name: String,
}

/// Whose connection it is: the address; of version 6 its network of 64 bits, in which everybody has as many addresses as they like.
pub(super) fn name_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V6(ip) if !ip.is_loopback() => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}")
        }
        ip => ip.to_string(),
    }
}

impl Crowd {
    /// `address-connections` and `trusted-proxies` of the settings.
    pub(super) fn new(most: usize, trusted: Vec<Network>) -> Arc<Self> {
        Arc::new(Self { most, trusted, held: Mutex::default() })
    }

    /// Gives a connection its place; `Err` where the address holds as many as it may. `Ok(None)`: not counted.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Option<Place>, ()> {
        if self.most == 0 || self.trusted.iter().any(|n| n.holds(address.to_canonical())) {
            return Ok(None);
        }
        let name = name_of(address);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(name.clone()).or_default();
        if *count >= self.most {
            return Err(());
        }
        *count += 1;
        Ok(Some(Place { crowd: Arc::clone(self), name }))
    }

    /// For `HttpServer::on_connect`: keeps the place in what belongs to the connection, or ends it.
    pub(super) fn meet(self: &Arc<Self>, connection: &dyn Any, own: &mut Extensions) {
        let plain = connection.downcast_ref::<TcpStream>();
        let stream = plain.or_else(|| Some(connection.downcast_ref::<TlsStream<TcpStream>>()?.get_ref().0));
        let Some((stream, peer)) = stream.and_then(|s| Some((s, s.peer_addr().ok()?))) else { return };
        match self.admit(peer.ip()) {
            Ok(Some(place)) => drop(own.insert(place)),
            Ok(None) => {}
            Err(()) => {
                // Both handles are of one socket: what is shut here is shut for the server, too.
                let socket = stream.as_fd().try_clone_to_owned().map(std::net::TcpStream::from);
                drop(socket.and_then(|s| s.shutdown(Shutdown::Both))); // it may be gone already
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.crowd.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.name) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                held.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// security A61: An address holds so many connections and no more; an IPv6 network is one, trusted proxies are not counted.
    #[test]
    fn an_address_holds_so_many_connections() {
        let crowd = Crowd::new(2, vec![Network::parse("10.0.0.0/8").unwrap()]);
        let ask = |text: &str| crowd.admit(text.parse().unwrap());
        let first = ask("192.0.2.1").unwrap().unwrap();
        let second = ask("::ffff:192.0.2.1").unwrap().unwrap();
        assert!(ask("192.0.2.1").is_err() && ask("192.0.2.2").unwrap().is_some(), "others go on");
        drop(first);
        let third = ask("192.0.2.1").unwrap().unwrap();
        assert!(ask("192.0.2.1").is_err());
        drop((second, third));
        assert!(crowd.held.lock().unwrap().is_empty(), "nothing is kept of who has gone");
        let of_six: Vec<_> = (0..5).map(|n| ask(&format!("2001:db8:1:2::{n}"))).collect();
        assert_eq!(of_six.iter().filter(|p| p.is_ok()).count(), 2);
        assert!(ask("2001:db8:1:3::1").is_ok());
        assert!((0..9).all(|_| ask("10.1.2.3").unwrap().is_none()));
        assert!((0..9).all(|_| Crowd::new(0, Vec::new()).admit("192.0.2.1".parse().unwrap()).unwrap().is_none()));
    }
}
