//! A path or a pattern of files, as it was rendered: relative, and held inside the work directory by its shape alone.

use std::fmt;
use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};
use sprongus_core::values::text::excerpt;

use crate::template::Piece;

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
    /// Of a rendered template: what its author wrote is a pattern, and what a value came to is a name, whatever is in it.
    pub(super) fn of(pieces: &[Piece]) -> Result<Self, PatternFault> {
        let mut text = String::new();
        for (at, piece) in pieces.iter().enumerate() {
            match piece {
                Piece::Text(written) => text.push_str(written),
                Piece::Value(value) => {
                    let star = |piece: Option<&Piece>, edge: fn(&str) -> bool| match piece {
                        Some(Piece::Text(written)) => edge(written),
                        Some(Piece::Value(_)) | None => false,
                    };
                    let before = at.checked_sub(1).and_then(|before| pieces.get(before));
                    let beside = star(before, |written| written.ends_with('*'))
                        || star(pieces.get(at + 1), |written| written.starts_with('*'));
                    if value.is_empty() && beside {
                        return Err(PatternFault(
                            "a value next to a `*` is empty, so the pattern would match more files than intended"
                                .to_owned(),
                        ));
                    }
                    text.extend(
                        value
                            .chars()
                            .flat_map(|c| SPECIAL.contains(&c).then_some('\\').into_iter().chain([c])),
                    );
                }
            }
        }
        Self::new(&text)
    }

    /// Of a text as an author writes it; `\` makes what follows it a character like others.
    pub(super) fn new(text: &str) -> Result<Self, PatternFault> {
        let fault = |what: &str| PatternFault(format!("{what}: {}", excerpt(text, 100)));
        if text.len() > LONGEST {
            return Err(fault("a path of more than 1 KiB"));
        }
        if text.contains('\0') {
            return Err(fault("a path with a NUL character"));
        }
        if text.starts_with('/') {
            return Err(fault("an absolute path; expected one inside the work directory"));
        }
        let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if parts.contains(&"..") {
            return Err(fault("a path with `..`; expected one inside the work directory"));
        }
        if parts.is_empty() {
            return Err(PatternFault(
                "an empty path; expected one such as report.md or out/*.json".to_owned(),
            ));
        }
        let base: Vec<String> = parts.iter().map_while(|part| plain(part)).collect();
        // Escaped they would be the same.
        if base.iter().any(|part| part == ".." || part == ".") {
            return Err(fault("a path with `..`; expected one inside the work directory"));
        }
        let plain = base.len();
        if plain == parts.len() {
            return Ok(Self { text: base.join("/"), base, glob: None, depth: 0 });
        }
        let text = parts.join("/");
        let glob = GlobBuilder::new(&text).literal_separator(true).backslash_escape(true).build();
        let glob = glob.map_err(|error| fault(&format!("an invalid pattern ({})", error.kind())))?;
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

/// What has a meaning in a pattern.
const SPECIAL: [char; 8] = ['*', '?', '[', ']', '{', '}', ',', '\\'];

/// The name that a part stands for, if it stands for one alone.
fn plain(part: &str) -> Option<String> {
    let mut name = String::with_capacity(part.len());
    let mut rest = part.chars();
    while let Some(next) = rest.next() {
        match next {
            '\\' => name.push(rest.next()?),
            '*' | '?' | '[' | ']' | '{' | '}' => return None,
            other => name.push(other),
        }
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(pattern: &str, paths: &[&'static str]) -> Vec<&'static str> {
        let pattern = Pattern::new(pattern).unwrap();
        paths.iter().copied().filter(|path| pattern.matches(path)).collect()
    }

    fn rendered(pieces: &[(&str, bool)]) -> Result<Pattern, PatternFault> {
        let piece = |(text, is_value): &(&str, bool)| match is_value {
            true => Piece::Value((*text).to_owned()),
            false => Piece::Text((*text).to_owned()),
        };
        Pattern::of(&pieces.iter().map(piece).collect::<Vec<_>>())
    }

    #[test]
    fn a_value_is_a_name_and_no_pattern() {
        let paths = [
            "*",
            "a",
            "report [v2].txt",
            "report 2.txt",
            "a{b}.txt",
            "ab.txt",
            "x\\y",
            "out/*",
            "out/a",
            "a,b",
        ];
        for name in ["*", "report [v2].txt", "a{b}.txt", "x\\y", "out/*", "a,b"] {
            let pattern = rendered(&[(name, true)]).unwrap();
            assert!(pattern.is_plain(), "{name}");
            let meant: Vec<_> = paths.into_iter().filter(|path| pattern.matches(path)).collect();
            assert_eq!(meant, [name]);
        }
        let mixed =
            rendered(&[("{", false), ("a,b", true), (",out/", false), ("*", true), ("}", false)]).unwrap();
        let meant: Vec<_> = paths.into_iter().filter(|path| mixed.matches(path)).collect();
        assert_eq!(meant, ["out/*", "a,b"]);
        let below = rendered(&[("out", true), ("/*", false)]).unwrap();
        assert_eq!((below.base.as_slice(), below.depth), (["out".to_owned()].as_slice(), 0));
        for pieces in [
            &[("../x", true)][..],
            &[("..", true), ("/*", false)],
            &[(".", true), (".", true), ("/x", false)],
            &[("", true), ("/etc", false)],
            &[("", true), ("*", false)],
            &[("*", false), ("", true), ("*", false)],
            &[("\\.\\.", false), ("/x", true)],
        ] {
            assert!(rendered(pieces).is_err(), "{pieces:?}");
        }
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
            ("a[", "invalid"),
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
