//! The dashboard in a real browser: every screen in both colour schemes, wide and on a phone, by an accessibility engine; live
//! updates; the same without scripts; the keyboard.
//!
//! `chromium.rs`, `devtools.rs`, `tab.rs` and `hand.rs` are the browser, `site.rs` and `gallery.rs` what it looks at, `checks.rs` what
//! must be true of any page. `target/screens/` has pictures of everything afterwards. What the HTML says is held by
//! `crates/sprongus-http/tests/api/dashboard/`; how long a page can be left open, by the drill `viewer`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this is a test from end to end, what it calls outside of a #[test] included"
)]

mod checks;
mod chromium;
mod controls;
mod devtools;
mod gallery;
mod hand;
mod keyboard;
mod live;
mod pictures;
mod plain;
mod screens;
mod site;
mod tab;
