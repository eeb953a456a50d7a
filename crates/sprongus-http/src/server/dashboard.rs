//! The dashboard: what happens, for people, at `/`. Pages are made here and readable without a script; one small script keeps them
//! fresh, by fragments that come over server-sent events.
//!
//! From the top down: `screens/` has a file for each screen, whose templates have its name, and `screens/live.rs`, which renders their
//! fragments again when something has happened; `layout.rs` is what stands around a screen; `session.rs` and below it who looks and what
//! their forms may change; `page.rs` and `fragment.rs` pages and their parts as responses; `parts/` what they are made of, `parts/html.rs`
//! how anything gets onto a page. `figures.rs` reads once for all who look. Nothing knows what stands above it.
//!
//! Everything is asked of [`sprongus_core::Runs`] and [`sprongus_core::Admin`] on behalf of the token that somebody signed in with, so
//! that its scopes, workspace and projects hold here as they do for the API. Figures over time alone come from the store.

mod assets;
mod figures;
mod fragment;
mod headers;
mod layout;
mod page;
mod parts;
mod screens;
mod session;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use sprongus_core::Error;
use sprongus_core::store::Store;

use super::Shared;
use super::access::waiting_limit::WaitingLimit;
use figures::Figures;
use page::ErrorPage;
use screens::run::{actions, artifacts, log};
use screens::runs::bulk;
use screens::{asset, audit, kinds, live, login, overview, run, runs, schedule, schedules, tokens, workers};

/// Pages that are kept fresh at once; more are told to come back later, and are readable all the same.
const VIEWERS: usize = 256;

/// How many of them are one token's at most.
const VIEWERS_OF_ONE: usize = 64;

/// What the dashboard keeps between requests. Sessions are in the database, so that each is good on every server.
pub struct DashboardState {
    figures: Figures,
    /// How many pages may be kept fresh at once.
    live_limit: Arc<WaitingLimit>,
}

impl DashboardState {
    /// The state of a server that nobody has looked at.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { figures: Figures::new(store), live_limit: WaitingLimit::new(VIEWERS, VIEWERS_OF_ONE) }
    }

    /// Pages that are kept fresh now.
    pub fn live_pages(&self) -> usize {
        self.live_limit.in_use()
    }
}

/// The dashboard's routes: no part of the API, nor of its document.
#[rustfmt::skip]
pub fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/", get(overview::page))
        .route("/login", get(login::page).post(login::sign_in))
        .route("/logout", post(login::sign_out))
        .route("/runs", get(runs::page))
        .route("/runs/bulk", post(bulk::act))
        .route("/runs/{id}", get(run::page))
        .route("/runs/{id}/log", get(log::download))
        .route("/runs/{id}/cancel", get(actions::ask_cancel).post(actions::cancel))
        .route("/runs/{id}/retry", get(actions::ask_retry).post(actions::retry))
        .route("/runs/{id}/approve", post(actions::approve))
        .route("/runs/{id}/reject", post(actions::reject))
        .route("/runs/{id}/artifacts/{*name}", get(artifacts::download))
        .route("/kinds", get(kinds::page).post(kinds::set))
        .route("/schedules", get(schedules::page))
        .route("/schedules/{id}", get(schedule::page))
        .route("/schedules/{id}/pause", post(schedule::actions::pause))
        .route("/schedules/{id}/resume", post(schedule::actions::resume))
        .route("/schedules/{id}/trigger", post(schedule::actions::trigger))
        .route("/schedules/{id}/delete", get(schedule::actions::ask_delete).post(schedule::actions::delete))
        .route("/workers", get(workers::page))
        .route("/workers/{id}/drain", get(workers::ask_drain).post(workers::drain))
        .route("/audit", get(audit::page))
        .route("/tokens", get(tokens::page).post(tokens::create))
        .route("/tokens/{id}/revoke", get(tokens::ask_revoke).post(tokens::revoke))
        .route("/live/overview", get(live::overview))
        .route("/live/runs", get(live::runs))
        .route("/live/runs/{id}", get(live::run))
        .route("/live/kinds", get(live::kinds))
        .route("/live/schedules", get(live::schedules))
        .route("/live/schedules/{id}", get(live::schedule))
        .route("/live/workers", get(live::workers))
        .route("/live/audit", get(live::audit))
        .route("/assets/{name}", get(asset::asset))
        .route_layer(from_fn(headers::layer))
}

/// The page where there is none.
pub fn nowhere(error: Error) -> Response {
    let mut response = ErrorPage::from(error).into_response();
    headers::add(response.headers_mut());
    response
}
