//! `[artifacts]`: where the bytes of artifacts are kept, and how many of one.

use std::path::Path;

use toml::de::DeTable;

use super::fault::DeclarationFault;
use super::node::Fields;
use super::source::{self, Source};
use crate::size::parse_size;

/// What is declared of artifacts; `None` leaves the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArtifactsDeclaration {
    /// The place, as it is written: a folder, relative to the file, or the URL of one or of a bucket. Not checked here.
    pub url: Option<String>,
    /// The largest artifact, in bytes.
    pub max_size: Option<u64>,
}

/// The largest that may be declared: beyond it an upload would have more parts than S3 takes.
const MOST: u64 = 64 << 30;

impl ArtifactsDeclaration {
    /// Reads this section alone of the file at `path`: every command that opens a database asks for it, and few for the rest.
    ///
    /// # Errors
    ///
    /// The first fault in the file's syntax or in the section.
    pub fn load(path: &Path) -> Result<Self, DeclarationFault> {
        let whole_file =
            |problem| DeclarationFault { path: path.to_owned(), position: None, key: None, problem };
        let text = source::read_text(path).map_err(whole_file)?;
        let source = Source { path, text: &text };
        let document = DeTable::parse(&text).map_err(|error| {
            source.fault(error.span().map_or(0, |span| span.start), None, error.message())
        })?;
        read(&Fields::root(source, document.get_ref()))
    }
}

pub(super) fn read(root: &Fields<'_, '_>) -> Result<ArtifactsDeclaration, DeclarationFault> {
    let Some(node) = root.get("artifacts") else { return Ok(ArtifactsDeclaration::default()) };
    let fields = node.fields("a table with url = \"s3://bucket/prefix\" and max_size = \"1GiB\"")?;
    fields.only(&["url", "max_size"])?;
    let url = match fields.get("url") {
        None => None,
        Some(node) => match node.text("a folder path, or a URL such as \"s3://bucket/prefix\"")? {
            "" => return Err(node.fault("expected a folder path or a URL, found nothing")),
            text => Some(text.to_owned()),
        },
    };
    let max_size = match fields.get("max_size") {
        None => None,
        Some(node) => Some(match node.text("") {
            Ok(text) => {
                let size = parse_size(text).map_err(|fault| node.fault(fault))?;
                if !(1..=MOST).contains(&size) {
                    return Err(node.fault("expected a size from 1B to 64GiB"));
                }
                size
            }
            Err(_) => node.integer(1, u32::MAX).map(u64::from).map_err(|_| {
                node.fault("expected a size such as \"1GiB\", or a number of bytes below 4 GiB")
            })?,
        }),
    };
    Ok(ArtifactsDeclaration { url, max_size })
}

#[cfg(test)]
mod tests {
    use super::super::Declaration;
    use super::*;

    fn read(text: &str) -> Result<ArtifactsDeclaration, DeclarationFault> {
        Declaration::parse(text, Path::new("sprongus.toml")).map(|declaration| declaration.artifacts)
    }

    #[test]
    fn artifacts_have_a_place_and_a_size() {
        assert_eq!(read("").unwrap(), ArtifactsDeclaration::default());
        let declared = read("[artifacts]\nurl = \"s3://ours/runs\"\nmax_size = \"10MiB\"").unwrap();
        assert_eq!((declared.url.as_deref(), declared.max_size), (Some("s3://ours/runs"), Some(10 << 20)));
        assert_eq!(read("[artifacts]\nmax_size = 7").unwrap().max_size, Some(7));
        for bad in [
            "url = \"\"",
            "url = 5",
            "max_size = 0",
            "max_size = \"0B\"",
            "max_size = \"65GiB\"",
            "max_size = 1.5",
            "size = 1",
        ] {
            let fault = read(&format!("[artifacts]\n{bad}")).unwrap_err();
            assert_eq!(fault.position.map(|it| it.line), Some(2), "{bad}: {fault}");
        }
    }

    #[test]
    fn the_section_is_read_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sprongus.toml");
        std::fs::write(&path, "[kinds.a]\nnonsense = true\n[artifacts]\nurl = \"kept\"\n").unwrap();
        assert_eq!(ArtifactsDeclaration::load(&path).unwrap().url.as_deref(), Some("kept"));
        assert!(Declaration::load(&path).is_err());
        std::fs::write(&path, "[artifacts").unwrap();
        assert!(ArtifactsDeclaration::load(&path).is_err());
    }
}
