//! Drills: what is promised for bad days, held up on the real binary with real worker processes.
//!
//! Each has a short form, which every `./test` runs, and a long one, which `./drills` runs in a release build
//! (`SPRONGUS_DRILL=long`). What was executed is told by a journal that the commands write themselves; the database is read
//! with SQL of our own. `SPRONGUS_DRILL_SEED` repeats the random choices of an earlier one.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this is a test from end to end, what it calls outside of a #[test] included"
)]

mod backing;
mod blobs;
mod cancel;
#[path = "../browser/chromium.rs"]
mod chromium;
mod crash;
mod cuts;
#[path = "../browser/devtools.rs"]
mod devtools;
mod disk;
mod drain;
mod failover;
mod flood;
mod full_disk;
mod generated_history;
#[path = "../browser/hand.rs"]
#[expect(dead_code, reason = "the browser tests do more with a page")]
mod hand;
mod history;
mod journal;
mod kill;
mod killed_mid_step;
mod limit;
mod load;
mod mutants;
mod plans;
mod poison;
mod power_cut;
mod project_folder;
mod proxy;
mod restart;
mod schedules;
mod screens;
mod serve_process;
mod server;
mod snapshot;
mod speed;
mod steps;
mod stop;
mod storm;
#[path = "../browser/tab.rs"]
#[expect(dead_code, reason = "the browser tests look at a page in more ways")]
mod tab;
mod tempo;
mod tenants;
mod tzif;
mod viewer;
mod worker;
mod writer;
