//! Sizes as people write them in `sprongus.toml`: `500kB`, `64MiB`, `1GiB`. A whole number and its unit, as in
//! [`crate::duration`]: `64` and `1.5GiB` are refused, because the first leaves the unit to guess and the second rounds.

/// The units and their bytes.
const UNITS: [(&str, u64); 7] = [
    ("B", 1),
    ("kB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
];

/// Reads a size, in bytes.
///
/// # Errors
///
/// What was expected, and what is wrong with `text`.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let expected = |wrong: &str| Err(format!("expected a size such as \"64MiB\" or \"1GiB\": {wrong}"));
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start();
    if unit.is_empty() {
        return expected("no unit (B, kB, KiB, MB, MiB, GB or GiB)");
    }
    let Some((_, bytes)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return expected("unknown unit, use B, kB, KiB, MB, MiB, GB or GiB");
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(*bytes)) {
        Some(size) => Ok(size),
        None => expected("it must begin with a whole number"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_whole_number_and_its_unit() {
        for (text, size) in
            [("0B", 0), ("7kB", 7_000), ("64MiB", 64 << 20), (" 2 GB ", 2_000_000_000), ("1GiB", 1 << 30)]
        {
            assert_eq!(parse_size(text), Ok(size), "{text}");
        }
        for bad in [
            "",
            "64",
            "MiB",
            "1.5GiB",
            "-1B",
            "1gib",
            "1TiB",
            "1GiB 5MiB",
            "99999999999999999999B",
            "99999999999GiB",
        ] {
            assert!(parse_size(bad).is_err(), "{bad:?}");
        }
    }
}
