//! The style sheet, the script and the icon. A page names them by what they hold, so a browser keeps them until they change.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

const FILES: [(&str, &str, &str); 3] = [
    ("style.css", "text/css; charset=utf-8", include_str!("../../../assets/style.css")),
    ("live.js", "text/javascript; charset=utf-8", include_str!("../../../assets/live.js")),
    ("icon.svg", "image/svg+xml", include_str!("../../../assets/icon.svg")),
];

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    FILES.iter().for_each(|(.., text)| hash.update(text));
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
});

/// What the present files are called by, behind their names.
pub fn version() -> &'static str {
    &VERSION
}

/// The media type and the text of a file, by its name.
pub fn file(name: &str) -> Option<(&'static str, &'static str)> {
    FILES.iter().find(|(known, ..)| *known == name).map(|(_, media_type, text)| (*media_type, *text))
}
