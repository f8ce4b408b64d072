//! Places on Earth: `Location?near=latitude|longitude|distance|units`.
//!
//! A position is a point on a sphere, three whole numbers, in two rows of `idx_range`: (z, x) under the slot's key and (y, y) under
//! another. How far two points are from each other is told by the straight line between them: no date line and no pole is an
//! exception, a box around the point is a range of the index, and the check is whole numbers in SQL.
//! Source: <https://hl7.org/fhir/R4/location.html#search>: WGS84, kilometres where no unit is named. Own rules: [`NEARBY`] where no
//! distance is; the sphere has Earth's mean radius, so that a distance differs by half a percent at most from one on the ellipsoid.

use super::{Place, Sink};
use crate::fhir::Json;
use crate::fhir::resource::printable;
use crate::search::Cond;
use crate::search::query::text::{split, unescape};

/// Earth's mean radius, km.
const RADIUS: f64 = 6_371.008_8;
/// The radius of the sphere that points lie on: one is 6 mm.
const UNIT: f64 = 1e9;
/// What is near where the search does not say, km.
const NEARBY: f64 = 10.0;

/// UCUM codes (and two words that people write), in km.
const UNITS: [(&str, f64); 8] = [
    ("km", 1.0),
    ("m", 0.001),
    ("cm", 0.000_01),
    ("[mi_i]", 1.609_344),
    ("mi", 1.609_344),
    ("[nmi_i]", 1.852),
    ("[ft_i]", 0.000_304_8),
    ("kms", 1.0),
];

/// The point of a position.
#[allow(clippy::cast_possible_truncation)] // at most UNIT
fn point(latitude: f64, longitude: f64) -> [i64; 3] {
    let (latitude, longitude) = (latitude.to_radians(), longitude.to_radians());
    let of = |part: f64| (part * UNIT).round() as i64;
    [of(latitude.cos() * longitude.cos()), of(latitude.cos() * longitude.sin()), of(latitude.sin())]
}

/// A decimal within bounds.
fn decimal(text: &str, most: f64) -> Option<f64> {
    let is_plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
    text.parse().ok().filter(|n: &f64| is_plain && n.abs() <= most)
}

/// The keys of a slot's two rows.
fn keys(place: &Place<'_>) -> (i64, i64) {
    (place.key(), place.exact("y", &[]))
}

pub(in crate::search) fn extract(position: &Json, sink: &mut Sink<'_>) {
    let degrees = |name: &str, most| position[name].as_number().and_then(|text| decimal(text, most));
    let (Some(latitude), Some(longitude)) = (degrees("latitude", 90.0), degrees("longitude", 180.0)) else { return };
    let ([x, y, z], (first, second)) = (point(latitude, longitude), keys(&sink.place));
    sink.rows.range.extend([(first, z, x), (second, y, y)]);
    sink.found.any = true;
}

/// The condition of one value of a query.
pub(in crate::search) fn cond(place: &Place<'_>, value: &str) -> Result<Cond, String> {
    let parts: Vec<_> = split(value, '|').into_iter().map(|part| unescape(part).trim().to_owned()).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let ([latitude, longitude], rest) = (match parts.as_slice() {
        [latitude, longitude, rest @ ..] if rest.len() <= 2 => Ok(([*latitude, *longitude], rest)),
        _ => Err("it is latitude|longitude|distance|units, the last two as you like: 42.256500|-83.694710|11.20|km"),
    })?;
    let degrees = |what: &str, text: &str, most: f64| {
        decimal(text, most).ok_or_else(|| format!("'{}' is no {what}: degrees from -{most} to {most}", printable(text)))
    };
    let at = point(degrees("latitude", latitude, 90.0)?, degrees("longitude", longitude, 180.0)?);
    let unit = match rest.get(1).copied().unwrap_or_default() {
        "" => 1.0,
        unit => UNITS.iter().find(|(code, _)| *code == unit).map(|(_, km)| *km).ok_or_else(|| {
            let known: Vec<&str> = UNITS.iter().map(|(code, _)| *code).collect();
            format!("'{}' is no unit of distance that is known here; they are {}", printable(unit), known.join(", "))
        })?,
    };
    let km = match rest.first().copied().unwrap_or_default() {
        "" => NEARBY,
        text => {
            decimal(text, f64::MAX)
                .filter(|n| *n >= 0.0)
                .ok_or_else(|| format!("'{}' is no distance: a number that is not negative", printable(text)))?
                * unit
        }
    };
    Ok(Cond::Near { keys: keys(place), at, chord: chord(km) })
}

/// The straight line between two points so far from each other, rounded up: both were rounded.
#[allow(clippy::cast_possible_truncation)] // at most twice UNIT
fn chord(km: f64) -> i64 {
    let half = (km / RADIUS / 2.0).min(std::f64::consts::FRAC_PI_2);
    (2.0 * half.sin() * UNIT).ceil() as i64 + 2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kilometres between two points, by the chord.
    fn apart(a: [i64; 3], b: [i64; 3]) -> f64 {
        let square: i64 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
        #[allow(clippy::cast_precision_loss)]
        let chord = (square as f64).sqrt() / UNIT;
        2.0 * (chord / 2.0).min(1.0).asin() * RADIUS
    }

    #[test]
    fn points_are_as_far_from_each_other_as_places_are() {
        for (from, to, km) in [
            ((52.52, 13.405), (48.857, 2.352), 877.5),         // Berlin, Paris
            ((64.147, -21.942), (-33.869, 151.209), 16_609.0), // Reykjavik, Sydney
            ((0.0, 179.999), (0.0, -179.999), 0.222),          // over the date line
            ((89.999, 0.0), (89.999, 180.0), 0.222),           // over the pole
            ((0.0, 0.0), (0.0, 180.0), 20_015.1),              // as far as it goes
        ] {
            let found = apart(point(from.0, from.1), point(to.0, to.1));
            assert!((found - km).abs() <= km * 0.005, "{from:?} {to:?}: {found}");
        }
        assert!(chord(30_000.0) > 2_000_000_000 && chord(0.0) == 2);
    }
}
