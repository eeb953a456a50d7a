//! Every route of the API, on one page; those of the dashboard are in [`super::dashboard`].

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, header};
use axum::middleware::{from_fn_with_state, map_request};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use sprongus_core::{Error, ErrorCode};

use super::access::hosts::{self, Hosts};
use super::request::upload;
use super::response::ApiError;
use super::routes::operator::{audit, prune, token};
use super::routes::runs::{artifact, cancel, enqueue, gate, read, retry, stream};
use super::routes::worker::{claim, cleaned, finish, heartbeat, progress, record, workdir};
use super::routes::{directory, health, metrics, runner_jobs, schedule, stats};
use super::{Shared, context, dashboard, openapi};

/// The routes. A verb behind a colon (`/v1/runs/{id}:cancel`) stands here as a segment with an `@`; see [`super::request::path`].
#[rustfmt::skip]
pub fn router(shared: Arc<Shared>, hosts: Hosts) -> Router {
    Router::new()
        .route("/v1/runs", get(read::list).post(enqueue::enqueue))
        .route("/v1/runs:batch", post(enqueue::batch))
        .route("/v1/runs:claim", post(claim::claim))
        .route("/v1/runs:heartbeat", post(heartbeat::many))
        .route("/v1/runs:finish", post(finish::many))
        .route("/v1/runs:prune", post(prune::prune))
        .route("/v1/runs/{id}", get(read::get))
        .route("/v1/runs/{id}/steps", get(read::steps))
        .route("/v1/runs/{id}/events", get(read::events))
        .route("/v1/runs/{id}/logs", get(read::logs))
        .route("/v1/runs/{id}/news", get(read::news))
        .route("/v1/runs/{id}/stream", get(stream::of_run))
        .route("/v1/runs/{id}/artifacts", get(artifact::list))
        .route("/v1/runs/{id}/artifacts/{*name}", put(artifact::put).get(artifact::get).layer(map_request(upload::linger)))
        .route("/v1/runs/{id}/workdir", put(workdir::put).get(workdir::get).delete(workdir::delete).layer(map_request(upload::linger)))
        .route("/v1/runs/{id}/@cancel", post(cancel::cancel))
        .route("/v1/runs/{id}/@retry", post(retry::retry))
        .route("/v1/runs/{id}/@approve", post(gate::approve))
        .route("/v1/runs/{id}/@reject", post(gate::reject))
        .route("/v1/runs/{id}/@heartbeat", post(heartbeat::one))
        .route("/v1/runs/{id}/@succeed", post(finish::succeed))
        .route("/v1/runs/{id}/@fail", post(finish::fail))
        .route("/v1/runs/{id}/@release", post(finish::release))
        .route("/v1/runs/{id}/@wait", post(gate::wait))
        .route("/v1/runs/{id}/@progress", post(progress::progress))
        .route("/v1/runs/{id}/@log", post(record::log))
        .route("/v1/runs/{id}/@step", post(record::step))
        .route("/v1/runs/{id}/@record", post(record::record))
        .route("/v1/runs/{id}/@cleaned", post(cleaned::cleaned))
        .route("/v1/stream", get(stream::of_workspace))
        .route("/v1/gates", get(read::gates))
        .route("/v1/stats", get(stats::stats))
        .route("/v1/projects", get(directory::projects).post(directory::create_project))
        .route("/v1/agent-tasks", get(directory::agent_tasks).post(directory::create_agent_task))
        .route("/v1/workers", get(directory::workers))
        .route("/v1/workers/{id}", put(directory::see_worker).delete(directory::forget_worker))
        .route("/v1/workers/{id}/@drain", post(directory::drain_worker))
        .route("/v1/kinds", get(directory::kinds))
        .route("/v1/kinds:pause", post(directory::pause_kind))
        .route("/v1/kinds:resume", post(directory::resume_kind))
        .route("/v1/schedules", get(schedule::list).post(schedule::create))
        .route("/v1/schedules:preview", post(schedule::preview))
        .route("/v1/schedules/{id}", get(schedule::get).put(schedule::put).delete(schedule::delete))
        .route("/v1/schedules/{id}/next", get(schedule::next))
        .route("/v1/schedules/{id}/@pause", post(schedule::pause))
        .route("/v1/schedules/{id}/@resume", post(schedule::resume))
        .route("/v1/schedules/{id}/@trigger", post(schedule::trigger))
        .route("/v1/schedules/{id}/@backfill", post(schedule::backfill))
        .route("/v1/settings:apply", post(schedule::apply))
        .route("/v1/workspaces", get(directory::workspaces).post(directory::create_workspace))
        .route("/v1/workspaces/{id}", delete(directory::delete_workspace))
        .route("/v1/tokens", get(token::tokens).post(token::create))
        .route("/v1/tokens/{id}", delete(token::revoke))
        .route("/v1/token", get(token::own))
        .route("/v1/audit", get(audit::list))
        .route("/runner-jobs", get(runner_jobs::list).post(runner_jobs::create))
        .route("/runner-jobs/{id}", get(runner_jobs::get))
        .route("/runner-jobs/{id}/cancel", post(runner_jobs::cancel))
        .route("/runner-jobs/{id}/retry", post(runner_jobs::retry))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/openapi.json", get(openapi::route::openapi))
        .route("/errors", get(health::errors))
        .merge(dashboard::routes())
        .fallback(nowhere)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(hosts, hosts::layer))
        .layer(from_fn_with_state(Arc::clone(&shared), context::layer::layer))
        .with_state(shared)
}

/// What a listener for metrics answers: `/metrics` without a token, and nothing else.
pub fn metrics_alone(shared: Arc<Shared>, hosts: Hosts) -> Router {
    let nothing_else = || async {
        let error = Error::new(ErrorCode::NotFound, "no such route");
        ApiError(error.with_hint("use GET /metrics, the only route here"))
    };
    Router::new()
        .route("/metrics", get(metrics::everybodys))
        .fallback(nothing_else)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(hosts, hosts::layer))
        .layer(from_fn_with_state(Arc::clone(&shared), context::layer::layer))
        .with_state(shared)
}

async fn no_such_method() -> ApiError {
    ApiError(Error::new(ErrorCode::MethodNotAllowed, "method not allowed on this route"))
}

/// What is said where no route is: to a browser by a page, to everybody else by a problem.
async fn nowhere(headers: HeaderMap) -> Response {
    let error = Error::new(ErrorCode::NotFound, "no such route");
    let wants_page = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if wants_page.is_some_and(|accepts| accepts.contains("text/html")) {
        return dashboard::nowhere(error.with_hint("start from the overview"));
    }
    ApiError(error.with_hint("see GET /openapi.json for all routes")).into_response()
}
