//! A path or a pattern of files, as it was rendered: relative, and held inside the work directory by its shape alone.

use std::fmt;
use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};
use sprongus_core::text::excerpt;

/// A longer pattern is data in the wrong place.
const LONGEST: usize = 1024;

/// Which files are meant.
#[derive(Debug)]
pub(super) struct Pattern {
    text: String,
    /// The folder that all of them are in: the parts before the first that is no plain name. Of a plain path, all of it.
    pub(super) base: Vec<String>,
    /// What the whole relative path has to match; none for a plain path.
    glob: Option<GlobMatcher>,
    /// How many folders deep below the base a file may lie.
    pub(super) depth: usize,
}

/// Why a text is no pattern of files in the work directory.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PatternFault(String);

impl fmt::Display for PatternFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl Pattern {
    pub(super) fn new(text: &str) -> Result<Self, PatternFault> {
        let fault = |what: &str| PatternFault(format!("{what}: {}", excerpt(text, 100)));
        if text.len() > LONGEST {
            return Err(fault("a path of more than 1 KiB"));
        }
        if text.contains('\0') {
            return Err(fault("a path with a NUL character"));
        }
        if text.starts_with('/') {
            return Err(fault("an absolute path, expected one inside the work directory"));
        }
        let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if parts.contains(&"..") {
            return Err(fault("a path with `..`, expected one inside the work directory"));
        }
        if parts.is_empty() {
            return Err(PatternFault(
                "a path is empty, expected one such as report.md or out/*.json".to_owned(),
            ));
        }
        let plain = parts.iter().take_while(|part| is_plain(part)).count();
        let text = parts.join("/");
        let base = parts[..plain].iter().map(|part| (*part).to_owned()).collect();
        if plain == parts.len() {
            return Ok(Self { text, base, glob: None, depth: 0 });
        }
        let glob = GlobBuilder::new(&text).literal_separator(true).backslash_escape(true).build();
        let glob =
            glob.map_err(|error| fault(&format!("a pattern that is not understood ({})", error.kind())))?;
        let deep = parts.iter().any(|part| part.contains("**") || part.contains('{'));
        let depth = if deep { usize::MAX } else { parts.len() - plain - 1 };
        Ok(Self { text, base, glob: Some(glob.compile_matcher()), depth })
    }

    /// Whether it is a path and nothing else.
    pub(super) fn is_plain(&self) -> bool {
        self.glob.is_none()
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        self.glob.as_ref().map_or(path == self.text, |glob| glob.is_match(Path::new(path)))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&excerpt(&self.text, 100))
    }
}

fn is_plain(part: &str) -> bool {
    !part.contains(['*', '?', '[', ']', '{', '}', '\\'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(pattern: &str, paths: &[&'static str]) -> Vec<&'static str> {
        let pattern = Pattern::new(pattern).unwrap();
        paths.iter().copied().filter(|path| pattern.matches(path)).collect()
    }

    #[test]
    fn a_pattern_means_files_below_the_work_directory() {
        let paths = ["a.md", "b.txt", "out/a.md", "out/deep/a.md", ".hidden.md"];
        assert_eq!(meant("a.md", &paths), ["a.md"]);
        assert_eq!(meant("./out//a.md", &paths), ["out/a.md"]);
        assert_eq!(meant("*.md", &paths), ["a.md", ".hidden.md"]);
        assert_eq!(meant("out/*", &paths), ["out/a.md"]);
        assert_eq!(meant("**/a.md", &paths), ["a.md", "out/a.md", "out/deep/a.md"]);
        assert_eq!(meant("out/**", &paths), ["out/a.md", "out/deep/a.md"]);
        assert_eq!(meant("{a,out/a}.md", &paths), ["a.md", "out/a.md"]);
        assert_eq!(meant("[ab].*", &paths), ["a.md", "b.txt"]);
    }

    #[test]
    fn what_leads_outside_is_refused() {
        for (text, why) in [
            ("/etc/passwd", "absolute"),
            ("../x", "`..`"),
            ("a/../../x", "`..`"),
            ("a/..", "`..`"),
            ("a\0b", "NUL"),
            ("", "empty"),
            ("./.", "empty"),
            ("a[", "not understood"),
            (&"a/".repeat(600), "1 KiB"),
        ] {
            let fault = Pattern::new(text).unwrap_err().to_string();
            assert!(fault.contains(why), "{text:?}: {fault}");
        }
    }

    #[test]
    fn no_more_is_walked_than_can_match() {
        let walked =
            |text| Pattern::new(text).map(|pattern| (pattern.base.join("/"), pattern.depth)).unwrap();
        assert_eq!(walked("out/a/*.md"), ("out/a".to_owned(), 0));
        assert_eq!(walked("out/*/x/*.md"), ("out".to_owned(), 2));
        assert_eq!(walked("**/x"), (String::new(), usize::MAX));
        assert_eq!(walked("a/{b,c/d}/e"), ("a".to_owned(), usize::MAX));
    }
}
