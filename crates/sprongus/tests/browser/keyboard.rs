//! Without a mouse: everything that can be pressed is reached, shows that it is, and does what it says.

use crate::gallery::Gallery;
use crate::tab::Tab;

/// What can be pressed or written in on a page, as `Tab::focused` names it.
const PRESSED: &str = "[...document.querySelectorAll(\"a[href], button, input:not([type=hidden]), select, summary, [tabindex='0']\")] \
    .filter(it => it.checkVisibility({visibilityProperty: true}) && !it.disabled) \
    .map(it => `${it.localName} ${(it.getAttribute('aria-label') ?? (it.id || it.textContent)).trim()}`)";

#[test]
fn everything_is_reached_in_its_order_and_shows_that_it_is() {
    let gallery = Gallery::shared();
    let tab = gallery.site.admin();
    for path in
        ["/", "/runs?state=failed", "/kinds", "/workers", "/tokens", &format!("/runs/{}", gallery.waiting)]
    {
        gallery.site.visit(&tab, path);
        let expected = tab.eval(PRESSED);
        let expected: Vec<_> = expected.as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
        let mut reached = Vec::new();
        for _ in &expected {
            tab.key("Tab");
            let (name, is_shown) = tab.focused();
            assert!(is_shown, "{path}: {name} does not show that it has the focus");
            reached.push(name);
        }
        assert_eq!(reached, expected, "{path}");
    }
}

#[test]
fn the_main_things_are_done_with_keys_alone() {
    let gallery = Gallery::shared();
    let tab = gallery.site.admin();
    gallery.site.visit(&tab, "/");
    // Past the navigation, into the content.
    tab.key("Tab");
    assert_eq!(tab.focused().0, "a Skip to the content");
    assert_eq!(tab.eval("document.activeElement.getBoundingClientRect().top >= 0"), true, "it is to be seen");
    tab.key("Enter");
    assert_eq!(tab.eval("document.activeElement.id"), "main");
    tab.key("Tab");
    assert_eq!(tab.eval("document.getElementById('main').contains(document.activeElement)"), true);

    // From a list to a run, and back by the search.
    gallery.site.visit(&tab, "/runs?state=failed");
    go_to(&tab, &format!("a {}", gallery.failed));
    tab.leaving(|| tab.key("Enter"));
    assert_eq!(tab.path(), format!("/runs/{}", gallery.failed));
    tab.key("/");
    assert_eq!(tab.focused().0, "input log-search");
    assert_eq!(tab.eval("document.activeElement.value"), "", "the key itself is not written");
    gallery.site.visit(&tab, "/runs");
    tab.key("/");
    assert_eq!(tab.focused().0, "input q");
    tab.call("Input.insertText", serde_json::json!({"text": gallery.delayed.to_string()}));
    tab.leaving(|| tab.key("Enter"));
    assert_eq!(tab.path(), format!("/runs/{}", gallery.delayed));

    // Choosing, and being asked.
    gallery.site.visit(&tab, "/runs?state=canceled");
    go_to(&tab, "input select all on this page");
    tab.key(" ");
    tab.until_reads("1 selected:");
    go_to(&tab, "button Retry…");
    tab.leaving(|| tab.key("Enter"));
    go_to(&tab, "a No, go back");
    tab.leaving(|| tab.key("Enter"));
    assert_eq!(tab.path(), "/runs");
    // Backwards too.
    tab.shift_key("Tab");
    assert!(tab.focused().1);
}

/// Presses Tab until something has the focus.
#[track_caller]
fn go_to(tab: &Tab, name: &str) {
    let mut passed = Vec::new();
    for _ in 0..200 {
        tab.key("Tab");
        let (focused, _) = tab.focused();
        if focused == name {
            return;
        }
        passed.push(focused);
    }
    panic!("{name} is not among {passed:?}");
}
