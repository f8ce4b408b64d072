//! The known name that a mistyped one is nearest to.

/// The nearest of `names`, when it is near enough to be meant.
pub(super) fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let typed: Vec<u8> = typed.bytes().take(64).map(|b| b.to_ascii_lowercase()).collect();
    let near = (typed.len() / 3).max(1);
    names.map(|name| (distance(&typed, name.as_bytes()), name)).filter(|(d, _)| *d <= near).min().map(|(_, name)| name)
}

/// Insertions, deletions and replacements between two texts, capitals aside.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, y) in row.iter_mut().skip(1).zip(b) {
            let here = (diagonal + usize::from(*x != y.to_ascii_lowercase())).min(left + 1).min(*cell + 1);
            diagonal = std::mem::replace(cell, here);
            left = here;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_typing_error_finds_its_name() {
        let names = ["family", "given", "use", "birthDate"];
        assert_eq!(nearest("famly", names.into_iter()), Some("family"));
        assert_eq!(nearest("birthdate", names.into_iter()), Some("birthDate"));
        assert_eq!(nearest("ssn", names.into_iter()), None);
    }
}
