//! Keys: `<workspace>/<run>/<ulid>`, and nothing else, so that no key names a file that is not an artifact's.

use std::str::FromStr;

use object_store::path::Path;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::{Error, Result};

/// The key as a path below the root of a place.
///
/// # Errors
/// `internal`: keys are made by this program and come back from its own tables.
pub fn path(key: &str) -> Result<Path> {
    // An id is accepted in more than one spelling elsewhere; one place has one key.
    let ulid = |part: &str| RunId::from_str(part).is_ok_and(|id| id.to_string() == part);
    let mut parts = key.split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(workspace), Some(run), Some(file), None)
            if workspace.parse::<WorkspaceId>().is_ok() && ulid(run) && ulid(file) =>
        {
            Ok(Path::from(key))
        }
        _ => Err(Error::internal("an artifact's location is not a valid key")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_workspace_a_run_and_a_ulid() {
        let (run, file) = (RunId::new(), RunId::new());
        let key = format!("team-a/{run}/{file}");
        assert_eq!(path(&key).unwrap().as_ref(), key);
        for bad in [
            String::new(),
            format!("{run}/{file}"),
            format!("../{run}/{file}"),
            format!("/{key}"),
            format!("{key}/"),
            format!("{key}#1"),
            format!("team-a/{run}/.."),
            format!("team-a//{file}"),
            format!("team-a/{run}/{}", file.to_string().to_lowercase()),
            format!("team-a/{run}/{file}/{file}"),
        ] {
            assert!(path(&bad).is_err(), "{bad:?}");
        }
    }
}
