//! That the checks can fail: pages with one fault each, and the checks that have to find it.

use std::time::{Duration, Instant};

use crate::checks::{inaccessible, wider_than};
use crate::gallery::Gallery;
use crate::tab::{LIGHT, PHONE_LIGHT};

#[track_caller]
fn holds(found: &[String], expected: &str) {
    assert!(found.iter().any(|it| it.contains(expected)), "{expected} is not in {found:#?}");
}

#[test]
fn a_page_that_can_hardly_be_read_is_found() {
    let gallery = Gallery::shared();
    let tab = gallery.site.admin();
    gallery.site.visit(&tab, "/kinds");
    assert_eq!(inaccessible(&tab), [""; 0]);
    tab.eval("document.querySelector('h1').style.color = '#c0c0c0'");
    holds(&inaccessible(&tab), "color-contrast");
    gallery.site.visit(&tab, "/kinds");
    tab.eval("document.querySelector('label[for=pause-kind]').remove()");
    holds(&inaccessible(&tab), "label: ");
}

#[test]
fn a_page_that_is_too_wide_is_found() {
    let gallery = Gallery::shared();
    let tab = gallery.site.admin();
    tab.seen_as(PHONE_LIGHT);
    gallery.site.visit(&tab, "/kinds");
    assert_eq!(wider_than(&tab, PHONE_LIGHT), None);
    tab.eval("document.querySelector('h1').style.width = '400px'");
    let found = wider_than(&tab, PHONE_LIGHT).expect("it is wider than a phone");
    assert!(found.contains("<h1"), "{found}");
}

#[test]
fn a_page_that_complains_or_asks_elsewhere_is_found() {
    let gallery = Gallery::shared();
    let home = &gallery.site.url;
    let tab = gallery.site.admin();
    tab.seen_as(LIGHT);
    gallery.site.visit(&tab, "/kinds");
    assert_eq!(tab.complaints(home), [""; 0]);
    let complains = |act: &str, expected: &str| {
        tab.eval(act);
        let (began, mut found) = (Instant::now(), Vec::new());
        // What was done is complained of before the next answer; what is loaded, once it has failed. What else is said of it comes too.
        while !found.iter().any(|it: &String| it.contains(expected)) {
            assert!(began.elapsed() < Duration::from_secs(30), "{expected} is not in {found:#?}");
            std::thread::sleep(Duration::from_millis(300));
            found.extend(tab.complaints(home));
        }
    };
    complains("setTimeout(() => { throw new Error('a mistake') })", "a mistake");
    complains("console.error('it broke')", "it broke");
    complains(
        "(() => { const it = document.createElement('script'); it.textContent = '1'; document.body.append(it); })()",
        "Content Security Policy",
    );
    complains("(() => { document.body.setAttribute('style', 'color: red'); })()", "Content Security Policy");
    complains("fetch('http://127.0.0.1:9/').catch(() => 0)", "Content Security Policy");
    complains("fetch('/nowhere')", "404");
    // Without the policy it would be asked.
    tab.call("Page.setBypassCSP", serde_json::json!({"enabled": true}));
    gallery.site.visit(&tab, "/kinds");
    complains(
        "fetch('http://127.0.0.1:9/', {mode: 'no-cors'}).catch(() => 0)",
        "it asked http://127.0.0.1:9/",
    );
}
