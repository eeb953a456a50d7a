#!/usr/bin/env bash
# A TZif file that keeps its rule in the footer alone: its clock changes are found forwards and never backwards.
#
# Versions: Rust crate jiff 1.0.2, without its default features.
# Surprise: RFC 9636 lets the footer say all, with no transition in the data. For such a file `TimeZone::following` walks the changes
#   that the footer's rule makes, and `to_offset` obeys it, but `TimeZone::preceding` is empty at every instant; the same rule given
#   to `TimeZone::posix` is walked both ways. Whoever counts from one change to the next counts from the beginning of time instead.
#   One transition in the data, to the offset that holds then anyway, makes both directions agree.
# Seen:
#   footer alone: following=2 preceding=0
#   with one transition: following=2 preceding=2
#   posix: following=2 preceding=2
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/src"
cat >"$work/Cargo.toml" <<'TOML'
[package]
name = "look"
version = "0.0.0"
edition = "2024"

[dependencies]
jiff = { version = "=1.0.2", default-features = false, features = ["std"] }
TOML
cat >"$work/src/main.rs" <<'RUST'
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Clocks go forward on day 60 and back on day 300, both at midnight.
const RULE: &str = "AAA0BBB,J60/0,J300/0";

/// A file of one type of time, with no transition or one in January 1970.
fn tzif(transitions: u32) -> Vec<u8> {
    let block = |transitions: u32| {
        let mut block = b"TZif2".to_vec();
        block.extend([0; 15]);
        for count in [0, 0, 0, transitions, 1, 4] {
            block.extend(count.to_be_bytes());
        }
        if transitions > 0 {
            block.extend(86_400_i64.to_be_bytes());
            block.push(0);
        }
        block.extend([0; 6]);
        block.extend(b"AAA\0");
        block
    };
    [block(0), block(transitions), format!("\n{RULE}\n").into_bytes()].concat()
}

fn look(name: &str, zone: &TimeZone) {
    let at: Timestamp = "2026-06-01T00:00:00Z".parse().unwrap();
    let (following, preceding) = (zone.following(at).take(2).count(), zone.preceding(at).take(2).count());
    println!("{name}: following={following} preceding={preceding}");
}

fn main() {
    look("footer alone", &TimeZone::tzif("Test/Zone", &tzif(0)).unwrap());
    look("with one transition", &TimeZone::tzif("Test/Zone", &tzif(1)).unwrap());
    look("posix", &TimeZone::posix(RULE).unwrap());
}
RUST
seen=$(cd "$work" && CARGO_TARGET_DIR="$work/target" cargo run --quiet)
printf '%s\n' "$seen"
[ "$seen" = "footer alone: following=2 preceding=0
with one transition: following=2 preceding=2
posix: following=2 preceding=2" ]
