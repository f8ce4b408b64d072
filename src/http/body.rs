//! Bodies in: bounded in bytes, in time, and after decompression.
//!
//! Source: own limits (`config::Limits`), RFC 9110 8.4 (Content-Encoding).

use crate::config::Limits;
use crate::error::{Error, Kind, Result};
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use std::io::Read;
use std::time::Duration;

/// Reads the whole body.
///
/// # Errors
/// `TooLarge` over the limit, `Timeout` for a slow sender, `UnsupportedMedia` for an encoding other than gzip, `Invalid`
/// for a body that breaks off.
pub(super) async fn read(request: &HttpRequest, payload: web::Payload, limits: &Limits) -> Result<Bytes> {
    let most = Limits::size(limits.body_bytes);
    let time = Duration::from_secs(limits.body_seconds);
    let length = request.headers().get("content-length").and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    if length.is_some_and(|n: usize| n > most) {
        return Err(too_large(most));
    }
    let raw = match tokio::time::timeout(time, collect(payload, most, length.unwrap_or(0))).await {
        Ok(raw) => raw?,
        Err(_) => return Err(Error::new(Kind::Timeout, "the body did not arrive in time (limit body-seconds)")),
    };
    let encoding = request.headers().get("content-encoding").map(|v| v.to_str().unwrap_or("?").trim());
    match encoding {
        None | Some("" | "identity") => Ok(raw),
        Some(name) if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => unpack(&raw, most),
        Some(_) => Err(Error::unsupported_media("Content-Encoding is gzip or nothing")),
    }
}

async fn collect(mut payload: web::Payload, most: usize, expected: usize) -> Result<Bytes> {
    let Some(first) = payload.next().await else { return Ok(Bytes::new()) };
    let first = first.map_err(|e| Error::invalid("the body broke off").caused_by(e.to_string()))?;
    if expected > 0 && first.len() == expected {
        return Ok(first);
    }
    let mut all = BytesMut::with_capacity(expected.clamp(first.len(), 1 << 20));
    all.extend_from_slice(&first);
    while let Some(part) = payload.next().await {
        let part = part.map_err(|e| Error::invalid("the body broke off").caused_by(e.to_string()))?;
        if all.len() + part.len() > most {
            return Err(too_large(most));
        }
        all.extend_from_slice(&part);
    }
    if all.len() > most { Err(too_large(most)) } else { Ok(all.freeze()) }
}

/// Unpacks gzip, never more than the limit: a bomb ends there.
fn unpack(raw: &[u8], most: usize) -> Result<Bytes> {
    let mut out = Vec::with_capacity(raw.len().saturating_mul(4).min(1 << 20));
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    flate2::read::MultiGzDecoder::new(raw)
        .take(limit)
        .read_to_end(&mut out)
        .map_err(|e| Error::invalid("the body is not the gzip that Content-Encoding says").caused_by(e))?;
    if out.len() > most { Err(too_large(most)) } else { Ok(out.into()) }
}

fn too_large(most: usize) -> Error {
    Error::too_large(format!(
        "a body has at most {most} bytes (limit body-bytes), after decompression; send several smaller ones"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// Own docs/settings.md: A packed body is measured unpacked: a bomb ends at the limit.
    #[test]
    fn a_gzip_bomb_ends_at_the_limit() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(&vec![b' '; 1 << 20]).unwrap();
        let packed = packed.finish().unwrap();
        assert!(unpack(&packed, 1 << 20).is_ok());
        assert_eq!(unpack(&packed, (1 << 20) - 1).unwrap_err().kind, Kind::TooLarge);
        assert_eq!(unpack(b"no gzip", 100).unwrap_err().kind, Kind::Invalid);
    }
}
