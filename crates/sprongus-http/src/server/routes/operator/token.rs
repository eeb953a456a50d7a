//! `GET`, `POST /v1/tokens`, `DELETE /v1/tokens/{id}`, and `GET /v1/token`.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::Uri;
use axum::http::request::Parts;
use sprongus_core::Error;
use sprongus_core::values::ids::TokenId;

use crate::server::Shared;
use crate::server::access::auth::{Operator, Principal};
use crate::server::request::body::Strict;
use crate::server::request::{path, query};
use crate::server::response::{ApiError, ApiResult, json, made, shown};
use crate::server::routes::runs::read::page_body;
use crate::wire::List;
use crate::wire::token::{MadeTokenBody, NewTokenBody, TokenBody};

page_body! {
    /// The tokens of the workspace.
    TokenPage, TokenPage, TokenBody;
}

/// The token a path names.
pub struct TokenOf(TokenId);

impl FromRequestParts<Arc<Shared>> for TokenOf {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, ApiError> {
        let text = path::named(parts, shared, "id").await;
        let unknown = |_| {
            Error::not_found(format_args!("token: {}", shown(&text)))
                .with_hint("list them with `sprongus token list`")
        };
        text.parse().map(Self).map_err(|error: Error| ApiError(unknown(error)))
    }
}

/// List the tokens of the workspace, newest first
///
/// Without their secrets: a token is shown only once, when it is created.
#[utoipa::path(
    get, path = "/v1/tokens", tag = "administration", operation_id = "listTokens",
    responses((status = 200, description = "The tokens, revoked and expired ones included", body = TokenPage)),
    security(("token" = ["admin"]))
)]
pub async fn tokens(Operator(principal): Operator, uri: Uri) -> ApiResult {
    query::none(&uri)?;
    Ok(json(&List { data: principal.admin().tokens().await?, next_cursor: None }))
}

/// Create a token
#[utoipa::path(
    post, path = "/v1/tokens", tag = "administration", operation_id = "createToken", request_body = NewTokenBody,
    responses((status = 201, description = "The token; shown only once", body = MadeTokenBody)),
    security(("token" = ["admin"]))
)]
pub async fn create(Operator(principal): Operator, Strict(body): Strict<NewTokenBody>) -> ApiResult {
    let token = principal.admin().create_token(body.into()).await?;
    Ok(made(&token, "/v1/tokens"))
}

/// Revoke a token
///
/// It is refused from now on, and by other servers within a second. A revoked token is returned unchanged.
#[utoipa::path(
    delete, path = "/v1/tokens/{id}", tag = "administration", operation_id = "revokeToken",
    params(("id" = String, Path, description = "The token's id")),
    responses((status = 200, description = "The token's details, without its secret", body = TokenBody)),
    security(("token" = ["admin"]))
)]
pub async fn revoke(
    Operator(principal): Operator,
    TokenOf(id): TokenOf,
    State(shared): State<Arc<Shared>>,
) -> ApiResult {
    let token = principal.admin().revoke_token(id).await?;
    shared.tokens.forget_all();
    Ok(json(&token))
}

/// Get the token of this request
#[utoipa::path(
    get, path = "/v1/token", tag = "administration", operation_id = "ownToken",
    responses((status = 200, description = "The token's details, without its secret", body = TokenBody)),
    security(("token" = []))
)]
pub async fn own(principal: Principal, uri: Uri) -> ApiResult {
    query::none(&uri)?;
    Ok(json(principal.token.as_ref()))
}
