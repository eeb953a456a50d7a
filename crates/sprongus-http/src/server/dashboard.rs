//! The dashboard: what happens, for people, at `/`. Pages are made here and readable without a script; one small script keeps them
//! fresh, by fragments that come over server-sent events.
//!
//! `session.rs` says who looks, `form.rs` who may change something, `html.rs` how anything gets onto a page. A screen is a file:
//! `overview.rs`, `runs.rs`, `run.rs`, `kinds.rs`, `workers.rs`, `audit.rs`, `tokens.rs`; its templates have its name. `live.rs` renders the same
//! fragments again when something has happened, `figures.rs` reads once for all who look.
//!
//! Everything is asked of [`sprongus_core::Runs`] and [`sprongus_core::Admin`] on behalf of the token that somebody signed in with, so
//! that its scopes, workspace and projects hold here as they do for the API. Figures over time alone come from the store.

mod answering;
mod artifacts;
mod assets;
mod audit;
mod bulk;
mod bulk_matching;
mod charts;
mod figures;
mod form;
mod headers;
mod history;
mod html;
mod kinds;
mod live;
mod log;
mod login;
mod overview;
mod run;
mod runs;
mod screen;
mod session;
mod standing;
mod timeline;
mod tokens;
mod tree;
mod when;
mod workers;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use sprongus_core::Error;
use sprongus_core::store::Store;

use super::Shared;
use super::places::Places;
use figures::Figures;
use screen::Failed;

/// Pages that are kept fresh at once; more are told to come back later, and are readable all the same.
const VIEWERS: usize = 256;

/// How many of them are one token's at most.
const VIEWERS_OF_ONE: usize = 64;

/// What the dashboard keeps between requests. Sessions are in the database, so that each is good on every server.
pub struct State {
    figures: Figures,
    /// Places of pages that are kept fresh.
    places: Arc<Places>,
}

impl State {
    /// That of a server that nobody has looked at.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { figures: Figures::new(store), places: Places::new(VIEWERS, VIEWERS_OF_ONE) }
    }

    /// Pages that are kept fresh now.
    pub fn live_pages(&self) -> usize {
        self.places.taken()
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
        .route("/runs/{id}/cancel", get(answering::ask_cancel).post(answering::cancel))
        .route("/runs/{id}/retry", get(answering::ask_retry).post(answering::retry))
        .route("/runs/{id}/approve", post(answering::approve))
        .route("/runs/{id}/reject", post(answering::reject))
        .route("/runs/{id}/artifacts/{*name}", get(artifacts::download))
        .route("/kinds", get(kinds::page).post(kinds::set))
        .route("/workers", get(workers::page))
        .route("/workers/{id}/drain", get(workers::ask_drain).post(workers::drain))
        .route("/audit", get(audit::page))
        .route("/tokens", get(tokens::page).post(tokens::create))
        .route("/tokens/{id}/revoke", get(tokens::ask_revoke).post(tokens::revoke))
        .route("/live/overview", get(live::overview))
        .route("/live/runs", get(live::runs))
        .route("/live/runs/{id}", get(live::run))
        .route("/live/kinds", get(live::kinds))
        .route("/live/workers", get(live::workers))
        .route("/live/audit", get(live::audit))
        .route("/assets/{name}", get(assets::asset))
        .route_layer(from_fn(headers::layer))
}

/// The page where there is none.
pub fn nowhere(error: Error) -> Response {
    let mut response = Failed::from(error).into_response();
    headers::add(response.headers_mut());
    response
}
