//! What a form sends: from this site, by the session whose page it stood on, small, and read field by field.

use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use sprongus_core::workspace::token::Scope;
use sprongus_core::{Error, ErrorCode, Result};

use super::Viewer;
use super::origin::same_origin;
use crate::server::Shared;
use crate::server::dashboard::page::ErrorPage;
use crate::server::request::body;
use crate::server::response::bad_field;

/// The most bytes of a form.
const MAX_FORM_BYTES: usize = 64 * 1024;

/// The field that carries a form's own token.
pub const FORM_TOKEN: &str = "form";

/// The fields of a form in their order; a name may repeat.
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads them, whoever sent them.
    pub async fn read(request: Request, shared: &Shared) -> Result<Self, Response> {
        let is_form = is_form(request.headers());
        let bytes = body::read::<MAX_FORM_BYTES>(request, shared.options.patience).await?;
        if !is_form {
            let error = Error::new(
                ErrorCode::UnsupportedMediaType,
                "send the form as application/x-www-form-urlencoded",
            );
            return Err(ErrorPage::from(error).into_response());
        }
        let pairs = form_urlencoded::parse(&bytes);
        Ok(Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect()))
    }

    /// What was filled in; nothing when it was left empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(key, _)| key == name)?;
        Some(value.trim()).filter(|text| !text.is_empty())
    }

    /// Every value under one name, as it was sent.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A value that must be filled in.
    ///
    /// # Errors
    /// `validation` when it is not, or is none.
    pub fn parsed<T: FromStr<Err = Error>>(&self, name: &str) -> Result<T> {
        let text =
            self.text(name).ok_or_else(|| bad_field(format!("/{name}"), format!("{name} is missing")))?;
        text.parse()
    }
}

/// The epoch that a run had when it was shown.
///
/// # Errors
/// `validation`.
pub fn epoch(text: Option<&str>) -> Result<u64> {
    text.and_then(|text| text.parse().ok()).ok_or_else(|| bad_field("/epoch", "epoch must be a whole number"))
}

/// Whether the body says that it is a form.
fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|essence| essence.trim() == "application/x-www-form-urlencoded")
}

/// A form of somebody who is signed in.
pub struct Posted {
    pub viewer: Viewer,
    pub fields: Fields,
}

impl FromRequest<Arc<Shared>> for Posted {
    type Rejection = Response;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Response> {
        let refused = |error: Error| ErrorPage::from(error).into_response();
        same_origin(request.headers(), shared).map_err(refused)?;
        let (mut parts, body) = request.into_parts();
        let viewer = Viewer::from_request_parts(&mut parts, shared).await?;
        let fields = Fields::read(Request::from_parts(parts, body), shared).await?;
        if !fields.text(FORM_TOKEN).is_some_and(|token| viewer.owns(token)) {
            let error = Error::new(ErrorCode::Forbidden, "the form belongs to another session")
                .with_hint("reload the page and try again");
            return Err(refused(error));
        }
        Ok(Self { viewer, fields })
    }
}

impl Posted {
    /// Lets somebody through whose token allows it.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn require(&self, scope: Scope) -> Result<()> {
        self.viewer.principal.require(scope)
    }

    /// Lets somebody through who may cancel and retry, and has not done so too often; `runs` at once.
    ///
    /// # Errors
    /// `forbidden`; `rate_limited`.
    pub fn require_write(&self, runs: usize) -> Result<()> {
        self.require(Scope::Write)?;
        self.viewer.principal.admit()?;
        self.viewer.principal.charge(runs.saturating_sub(1));
        Ok(())
    }
}
