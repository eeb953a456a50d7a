//! A run's artifacts as a table.

use sprongus_core::run::artifact::Artifact;
use sprongus_core::values::text::excerpt;
use sprongus_core::values::time::Timestamp;

use super::age::ago;
use super::style::DIM;
use super::table::{Cell, Table};

/// The artifacts, by name.
pub fn table(artifacts: &[Artifact], now: Timestamp) -> String {
    let mut table = Table::new(["NAME", "SIZE", "TYPE", "SHA256", "CREATED"]);
    for artifact in artifacts {
        table.row([
            Cell::from(excerpt(artifact.name.as_str(), 64)),
            Cell::number(size(artifact.size)),
            excerpt(&artifact.content_type, 48).into(),
            Cell::styled(excerpt(artifact.sha256.get(..12).unwrap_or_default(), 12), DIM),
            ago(artifact.created_at, now).into(),
        ]);
    }
    table.render("no artifacts")
}

/// A size in the largest unit that leaves a whole number, with one decimal while it is small.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10;
    let mut unit = "B";
    for next in UNITS {
        // What would be shown as 1024 of a unit is one of the next.
        if tenths < 10_235 {
            break;
        }
        tenths = (tenths + 512) / 1_024;
        unit = next;
    }
    if tenths < 100 {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    } else {
        format!("{} {unit}", (tenths + 5) / 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_a_size_at_a_glance() {
        for (bytes, shown) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.0 KiB"),
            (1_536, "1.5 KiB"),
            (10 << 10, "10 KiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (1 << 20, "1.0 MiB"),
            (1 << 30, "1.0 GiB"),
            (u64::MAX, "16777216 TiB"),
        ] {
            assert_eq!(size(bytes), shown, "{bytes}");
        }
    }
}
