//! The pictures of the documentation, taken of a real site. They are left in `target/screens/docs/`; `SPRONGUS_SCREENS=docs/screens`
//! has them put there too, from the root of the repository.

use std::path::{Path, PathBuf};

use crate::gallery::Gallery;
use crate::tab::{LIGHT, Look, PHONE_DARK};

/// What a picture in the repository may weigh, in bytes.
const HEAVIEST: u64 = 150_000;

/// Where a picture is left.
pub fn left(name: &str) -> PathBuf {
    root().join(format!("target/screens/{name}.png"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_pictures_of_the_documentation_can_be_taken() {
    let gallery = Gallery::shared();
    let tab = gallery.site.admin();
    let wide = Look { height: 860, ..LIGHT };
    for (name, look, path) in [
        ("overview", wide, "/".to_owned()),
        ("run", wide, format!("/runs/{}", gallery.running)),
        ("phone", PHONE_DARK, format!("/runs/{}", gallery.waiting)),
    ] {
        tab.seen_as(look);
        gallery.site.visit(&tab, &path);
        tab.until("document.getElementById('liveness').textContent === 'Live'");
        let path = left(&format!("docs/{name}"));
        tab.picture(&path, false);
        assert!(std::fs::metadata(&path).unwrap().len() < HEAVIEST, "{name} is too heavy to be kept");
        if let Some(folder) = std::env::var_os("SPRONGUS_SCREENS") {
            let folder = root().join(folder);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::copy(path, folder.join(format!("{name}.png"))).unwrap();
        }
    }
}
