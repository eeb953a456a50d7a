//! An artifact as a file to keep. It is never shown: what a run made is not to act in the dashboard's name.

use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sprongus_core::run::artifact::{ArtifactName, Download};
use sprongus_core::values::ids::RunId;
use sprongus_core::workspace::token::Scope;
use sprongus_core::{Error, Result};

use crate::server::dashboard::headers::as_download;
use crate::server::dashboard::page::{PageResult, timely};
use crate::server::dashboard::session::Viewer;
use crate::server::response::shown;

/// `GET /runs/{id}/artifacts/{name}`.
pub async fn download(viewer: Viewer, Path((id, name)): Path<(String, String)>) -> PageResult {
    viewer.principal.require(Scope::Read)?;
    let (id, name) = named(&id, &name)?;
    let runs = viewer.principal.runs();
    let reading = async {
        // A run that is not there is told as such, whatever is kept.
        runs.get(id).await?;
        runs.artifact(id, &name, None).await
    };
    let download = timely(reading).await?;
    Ok(file(download))
}

/// An artifact as a browser keeps it, whatever it holds.
fn file(download: Download) -> Response {
    let last = download.artifact.name.as_str().rsplit('/').next().unwrap_or_default();
    let disposition = format!("attachment; filename*=UTF-8''{}", utf8_percent_encode(last, NON_ALPHANUMERIC));
    let headers = [
        // Whatever type a run gave it, a browser only keeps it.
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CONTENT_LENGTH, HeaderValue::from(download.artifact.size)),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::from_str(&disposition).unwrap_or(HeaderValue::from_static("attachment")),
        ),
    ];
    let mut response = (headers, Body::from_stream(download.body)).into_response();
    as_download(&mut response);
    response
}

/// What the path names. What is no id and no name names nothing.
fn named(id: &str, name: &str) -> Result<(RunId, ArtifactName)> {
    let unknown = || Error::not_found(format_args!("artifact: {}", shown(name)));
    Ok((id.parse().map_err(|_| unknown())?, name.parse().map_err(|_| unknown())?))
}

/// An artifact's name within a path.
pub fn in_path(name: &ArtifactName) -> String {
    let parts = name.as_str().split('/').map(|part| utf8_percent_encode(part, NON_ALPHANUMERIC).to_string());
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use futures_util::stream::iter;
    use sprongus_core::run::artifact::Artifact;
    use sprongus_core::values::time::Timestamp;

    use super::*;

    #[test]
    fn a_page_that_a_run_made_is_kept_and_never_shown() {
        let name: ArtifactName = "out/a \"b\".html".parse().unwrap();
        let artifact = Artifact {
            run_id: RunId::from_bits(1),
            name: name.clone(),
            size: 3,
            sha256: String::new(),
            content_type: "text/html".to_owned(),
            created_at: Timestamp::from_millis(0),
        };
        let body = Box::pin(iter([Ok(bytes::Bytes::from_static(b"<b>"))]));
        let response = file(Download { artifact, range: 0..3, body });
        let of = |name| response.headers()[name].to_str().unwrap();
        assert_eq!(of(header::CONTENT_TYPE), "application/octet-stream");
        assert_eq!(of(header::CONTENT_DISPOSITION), "attachment; filename*=UTF-8''a%20%22b%22%2Ehtml");
        assert!(of(header::CONTENT_SECURITY_POLICY).contains("sandbox"));
        assert_eq!(in_path(&name), "out/a%20%22b%22%2Ehtml");
    }
}
