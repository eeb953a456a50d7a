//! Which place is meant: `s3://bucket/prefix`, `file:///folder`, or the path of a folder.

use std::fmt;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use sprongus_core::values::text::{excerpt, printable};
use sprongus_core::{Error, Result};

/// A place for bytes. It holds no credentials: those of a bucket come from the `AWS_*` variables when it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A folder.
    Folder(PathBuf),
    /// A bucket of an S3-compatible store.
    Bucket {
        /// Its name.
        name: String,
        /// What every key in it begins with, without a slash at either end; empty for none.
        prefix: String,
    },
}

const HINT: &str = "use a folder (a path, or file:///path) or a bucket (s3://BUCKET/PREFIX); the bucket's server and credentials come from AWS_ENDPOINT, AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";

impl Place {
    /// The place that `text` names; a path that is not absolute is one below `base`.
    ///
    /// # Errors
    /// `validation`. The text is not repeated: somebody may have written a password into it.
    pub fn parse(text: &str, base: &Path) -> Result<Self> {
        let refused =
            |why: &str| Err(Error::validation(format!("the location of artifacts: {why}")).with_hint(HINT));
        if text.is_empty() || text.contains('\0') {
            return refused("expected a path or a URL");
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return match text.split_once(':') {
                // `file:folder` and `s3:bucket` would become odd folders.
                Some((scheme, _)) if is_one_of(scheme, &["file", "s3"]) => refused("expected :// in a URL"),
                Some(_) | None => Ok(Self::Folder(base.join(text))),
            };
        };
        if is_one_of(scheme, &["file"]) {
            // A URL's host would be another machine.
            let path = rest.strip_prefix("localhost").unwrap_or(rest);
            let path = percent_decode_str(path).decode_utf8().unwrap_or_default();
            if path.starts_with('/') && !path.contains('\0') {
                return Ok(Self::Folder(PathBuf::from(path.into_owned())));
            }
            return refused("expected an absolute path in a file URL, such as file:///srv/artifacts");
        }
        if !is_one_of(scheme, &["s3"]) {
            return refused(&format!("neither a folder nor a bucket: {}://…", excerpt(scheme, 32)));
        }
        if rest.contains(['@', '?', '#', '\\', '%']) {
            return refused("expected a bucket and a prefix, and nothing else in the URL");
        }
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_end_matches('/');
        if !is_bucket_name(name) {
            return refused("expected a bucket name of 3 to 63 lower-case letters, digits, dots and hyphens");
        }
        let is_part = |part: &str| {
            !matches!(part, "" | "." | "..")
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        };
        if !prefix.is_empty() && !prefix.split('/').all(is_part) {
            return refused("expected a prefix of letters, digits, dots, hyphens and slashes");
        }
        Ok(Self::Bucket { name: name.to_owned(), prefix: prefix.to_owned() })
    }
}

fn is_one_of(scheme: &str, names: &[&str]) -> bool {
    names.iter().any(|name| scheme.eq_ignore_ascii_case(name))
}

fn is_bucket_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
    let outer =
        |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    (3..=63).contains(&name.len())
        && name.bytes().all(inner)
        && outer(name.bytes().next())
        && outer(name.bytes().next_back())
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => out.write_str(&printable(&path.display().to_string())),
            Self::Bucket { name, prefix } if prefix.is_empty() => write!(out, "s3://{name}"),
            Self::Bucket { name, prefix } => write!(out, "s3://{name}/{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String> {
        Place::parse(text, Path::new("/project")).map(|place| place.to_string())
    }

    #[test]
    fn a_place_is_a_folder_or_a_bucket() {
        for (text, place) in [
            ("kept", "/project/kept"),
            ("../kept", "/project/../kept"),
            ("/srv/kept", "/srv/kept"),
            ("odd:name", "/project/odd:name"),
            ("file:///srv/our%20files", "/srv/our files"),
            ("FILE://localhost/srv", "/srv"),
            ("s3://our-bucket", "s3://our-bucket"),
            ("S3://our.bucket/runs/a_b/", "s3://our.bucket/runs/a_b"),
        ] {
            assert_eq!(read(text).unwrap(), place, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_without_being_repeated() {
        for bad in [
            "",
            "a\0b",
            "file:kept",
            "file://kept",
            "file://host/kept",
            "file:///a%00b",
            "s3:our-bucket",
            "s3://",
            "s3://ab",
            "s3://Our-Bucket",
            "s3://-ours",
            "s3://our_bucket",
            "s3://our-bucket//a",
            "s3://our-bucket/../a",
            "s3://our-bucket/a b",
            "s3://key:hunter2@our-bucket",
            "s3://our-bucket?secret=hunter2",
            "gs://our-bucket/hunter2",
            "https://key:hunter2@s3.example/our-bucket",
        ] {
            let error = read(bad).unwrap_err();
            assert!(!format!("{error:?} {}", error.hint()).contains("hunter2"), "{error:?}");
        }
    }
}
