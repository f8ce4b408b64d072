//! A network as settings write it: `10.0.0.0/8`, `2001:db8::/32`, or one address.

use crate::error::{Error, Result};
use std::net::IpAddr;

/// Addresses that begin alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: u128,
    is_v6: bool,
    /// Bits that do not matter.
    free: u32,
}

impl Network {
    /// Reads one.
    ///
    /// # Errors
    /// `Invalid` with the text.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = || Error::invalid(format!("'{text}' is no network; write 10.0.0.0/8, 2001:db8::/32 or one address"));
        let (ip, bits) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
        let ip: IpAddr = ip.parse().map_err(|_| bad())?;
        let width = if ip.is_ipv6() { 128 } else { 32 };
        let bits = bits.map_or(Ok(width), |b| b.parse::<u32>().map_err(|_| bad()))?;
        let free = width.checked_sub(bits).ok_or_else(bad)?;
        Ok(Self { first: number(ip), is_v6: ip.is_ipv6(), free })
    }

    /// Whether an address is of it.
    #[must_use]
    pub fn holds(&self, ip: IpAddr) -> bool {
        let without = |n: u128| n.checked_shr(self.free).unwrap_or(0);
        ip.is_ipv6() == self.is_v6 && without(number(ip)) == without(self.first)
    }
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

#[cfg(test)]
mod tests {
    use super::Network;

    #[test]
    fn networks_as_a_table() {
        for (network, ip, holds) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db8::1", true),
        ] {
            assert_eq!(Network::parse(network).unwrap().holds(ip.parse().unwrap()), holds, "{network} {ip}");
        }
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "proxy.example", "10.0.0.0/x", "::/129"] {
            assert!(Network::parse(bad).is_err(), "{bad}");
        }
    }
}
