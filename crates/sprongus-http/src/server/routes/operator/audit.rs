//! `GET /v1/audit`.

use axum::http::Uri;
use sprongus_core::workspace::operator::OperatorFilter;

use crate::server::access::auth::Operator;
use crate::server::request::query::Query;
use crate::server::response::{ApiResult, json};
use crate::server::routes::runs::read::page_body;
use crate::wire::operator::OperatorEventBody;
use crate::wire::words::OperatorEventName;

page_body! {
    /// A page of the audit log. It may have fewer items than `limit`; only a `nextCursor` of null ends the list.
    OperatorEventPage, OperatorEventPage, OperatorEventBody;
}

/// List operator events, newest first
///
/// Tokens, projects, kinds, workers, retention and figures of the workspace; in the workspace `default` also the workspaces
/// themselves. Entries cannot be edited; they are deleted with their workspace.
#[utoipa::path(
    get, path = "/v1/audit", tag = "administration", operation_id = "listOperatorEvents",
    params(
        ("type" = Option<Vec<OperatorEventName>>, Query, description = "Only these types (repeatable)"),
        ("actor" = Option<String>, Query, description = "Only events by this actor, exact match"),
        ("since" = Option<String>, Query, description = "At or after this time (RFC 3339)"),
        ("before" = Option<String>, Query, description = "Before this time (RFC 3339)"),
        ("limit" = Option<u32>, Query, description = "1 to 100; default: 50", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the previous page, with the same filters"),
    ),
    responses((status = 200, description = "A page", body = OperatorEventPage)),
    security(("token" = ["admin"]))
)]
pub async fn list(Operator(principal): Operator, uri: Uri) -> ApiResult {
    let mut query = Query::read(&uri, &["type*", "actor", "since", "before", "limit", "cursor"])?;
    let mut filter = OperatorFilter {
        types: query.all("type"),
        actor: query.text("actor").map(str::to_owned),
        since: query.one("since"),
        before: query.one("before"),
        cursor: query.text("cursor").map(str::to_owned),
        ..OperatorFilter::default()
    };
    if let Some(limit) = query.number("limit") {
        filter.limit = u32::try_from(limit).unwrap_or(u32::MAX);
    }
    query.end()?;
    Ok(json(&principal.admin().operator_events(&filter).await?))
}
