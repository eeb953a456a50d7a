//! `/runs/{id}/log`: a run's whole log as a text file.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use bytes::Bytes;
use futures_util::stream::unfold;
use sprongus_core::run::follow::MAX_NEWS;
use sprongus_core::run::step::{NumberedLine, Stream};
use sprongus_core::values::ids::RunId;
use sprongus_core::values::text::printable;
use sprongus_core::workspace::token::Scope;
use sprongus_core::{Result, Runs};

use crate::server::dashboard::headers::as_download;
use crate::server::dashboard::page::{PageResult, RunAt, timely};
use crate::server::dashboard::session::Viewer;

/// `GET /runs/{id}/log`: read while it is sent.
pub async fn download(viewer: Viewer, RunAt(id): RunAt) -> PageResult {
    viewer.principal.require(Scope::Read)?;
    let runs = viewer.principal.runs();
    timely(runs.get(id)).await?;
    let name = format!("attachment; filename=\"{id}.log\"");
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::from_str(&name).unwrap_or(HeaderValue::from_static("attachment")),
        ),
    ];
    let mut response = (headers, Body::from_stream(pages(runs, id))).into_response();
    as_download(&mut response);
    Ok(response)
}

fn pages(runs: Arc<dyn Runs>, id: RunId) -> impl futures_util::Stream<Item = Result<Bytes>> + Send + 'static {
    unfold(Some(0), move |after| {
        let runs = Arc::clone(&runs);
        async move {
            match timely(runs.logs(id, after?, MAX_NEWS)).await {
                Ok(page) => {
                    let last = page.last()?.seq;
                    Some((Ok(text(&page)), Some(last)))
                }
                // The connection breaks, so nobody takes a part for the whole.
                Err(error) => Some((Err(error), None)),
            }
        }
    })
}

fn text(page: &[NumberedLine]) -> Bytes {
    let mut out = String::new();
    for line in page {
        let sign = match line.line.stream {
            Stream::Stdout => ' ',
            Stream::Stderr => '!',
            Stream::System => '*',
        };
        let step = line.line.step.as_deref().unwrap_or("-");
        let _ =
            writeln!(out, "{} {} {step} {sign} {}", line.line.at, line.attempt, printable(&line.line.text));
    }
    out.into()
}
