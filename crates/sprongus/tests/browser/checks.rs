//! What must be true of every page however it is looked at. `controls.rs` shows that each of these can fail.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;

use crate::tab::{Look, Tab};

/// The rules of WCAG 2.2 up to AA, and those that are merely good. None is left out.
const RULES: &str = "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']";

/// Everything that is amiss with a page.
pub fn amiss(tab: &Tab, look: Look, home: &str) -> Vec<String> {
    let mut found = tab.complaints(home);
    found.extend(wider_than(tab, look));
    found.extend(inaccessible(tab));
    found
}

/// Whether a page has to be scrolled sideways, and what sticks out.
pub fn wider_than(tab: &Tab, look: Look) -> Option<String> {
    let width = tab.eval("Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)");
    let width = width.as_u64().unwrap();
    (width > u64::from(look.width)).then(|| {
        let widest = tab.eval(&format!(
            "[...document.body.querySelectorAll('*')].filter(it => it.getBoundingClientRect().right > {} && !it.closest('.scroll')) \
             .map(it => it.outerHTML.slice(0, 120)).slice(0, 3).join('\\n')",
            look.width
        ));
        format!("{width} pixels wide on {}: {widest}", look.width)
    })
}

/// Runs the engine and says what it found: each rule, and where it is broken. What it cannot decide about colours counts too, save for
/// what has been scrolled out of sight within the page.
const ASK: &str = "axe.run(document, {runOnly: RULES}).then(({violations, incomplete}) => {
  const isHidden = ({any, target}) =>
    any.every(it => ['bgOverlap', 'elmPartiallyObscured'].includes(it.data?.messageKey)) && document.querySelector(target[0])?.closest('.log, .scroll, pre, .json');
  const undecided = incomplete.filter(({id}) => id === 'color-contrast')
    .map(it => ({...it, nodes: it.nodes.filter(node => !isHidden(node))}));
  return [...violations, ...undecided].filter(({nodes}) => nodes.length).map(({id, nodes}) =>
    `${id}: ${nodes.length}, such as ${nodes[0].html.slice(0, 200)} ${nodes[0].failureSummary.split('\\n').slice(1).join(' ')}`);
})";

/// What the accessibility engine finds.
pub fn inaccessible(tab: &Tab) -> Vec<String> {
    tab.eval(engine());
    let Value::Array(found) = tab.eval(&ASK.replace("RULES", RULES)) else {
        panic!("the engine says nothing")
    };
    found.iter().map(|it| it.as_str().unwrap().to_owned()).collect()
}

/// The source of axe-core.
fn engine() -> &'static str {
    static ENGINE: OnceLock<String> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let installed =
            installed().expect("no axe-core in target/tools/python: `./test` installs it from PyPI");
        // Its last value would be sent back otherwise.
        std::fs::read_to_string(installed).unwrap() + "; null"
    })
}

fn installed() -> Option<PathBuf> {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/python/lib");
    let pythons = std::fs::read_dir(library).ok()?.flatten();
    let mut places =
        pythons.map(|python| python.path().join("site-packages/axe_playwright_python/axe.min.js"));
    places.find(|place| place.is_file())
}
