//! Artifacts, as they are read back.

use serde::Deserialize;
use sprongus_core::run::artifact::{Artifact, ArtifactName};
use sprongus_core::values::ids::RunId;
use sprongus_core::values::time::Timestamp;

/// An artifact: a file stored with a run.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Artifact))]
#[serde(rename_all = "camelCase")]
pub struct ArtifactBody {
    /// The run it belongs to.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub run_id: RunId,
    /// Name, unique within the run.
    #[cfg_attr(feature = "server", schema(value_type = String, example = "out/report.md"))]
    pub name: ArtifactName,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of the content, in lower-case hexadecimal.
    #[cfg_attr(
        feature = "server",
        schema(
            example = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            pattern = "^[0-9a-f]{64}$"
        )
    )]
    pub sha256: String,
    /// Media type, as the uploader gave it; nothing checks it.
    #[cfg_attr(feature = "server", schema(example = "text/markdown"))]
    pub content_type: String,
    /// When it was stored.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
}

impl From<ArtifactBody> for Artifact {
    fn from(body: ArtifactBody) -> Self {
        Self {
            run_id: body.run_id,
            name: body.name,
            size: body.size,
            sha256: body.sha256,
            content_type: body.content_type,
            created_at: body.created_at,
        }
    }
}
