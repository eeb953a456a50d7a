//! The same without scripts: every form and link does its work, and a page says that it stands still.

use serde_json::json;
use sprongus::core::json::Json;
use sprongus::core::run::NewRun;
use sprongus::core::run::state::State;

use crate::gallery::Gallery;
use crate::site::{Site, input};
use crate::tab::{PHONE_DARK, Tab};

fn plain(site: &Site, token: &str) -> Tab {
    let tab = site.stranger();
    tab.runs_no_scripts();
    site.sign_in(&tab, token);
    tab
}

#[test]
fn every_list_and_form_works_without_scripts() {
    let site = Site::open();
    let token = site.token(&["--name", "plain", "--scopes", "runs:read,runs:write,runs:approve,admin"]);
    let tab = plain(&site, &token);
    assert!(tab.reads().contains("Live updates need JavaScript."), "{}", tab.reads());
    assert_eq!(tab.eval("document.getElementById('liveness').hidden"), true);
    site.enqueue_many("mail.digest", 51);
    let gate = site.enqueue(NewRun::new("agent.review", input(&json!({"storyboard": 14}))));
    let running = site.enqueue(NewRun::new("render.preview", Json::empty_object()));
    site.until(gate, |run| run.waiting_for.is_some());
    site.until(running, |run| run.state == State::Running);

    // Filters, pages, and the way to a run by its id.
    tab.follow("nav a", "Runs");
    assert_eq!(tab.eval("document.querySelectorAll('tbody tr').length"), 50);
    tab.follow("a", "Older");
    assert_eq!(tab.eval("document.querySelectorAll('tbody tr').length"), 3);
    tab.follow("a", "Newest");
    tab.click("label.pick", "running");
    tab.follow("button", "Show");
    assert_eq!(tab.eval("document.querySelectorAll('tbody tr').length"), 1);
    tab.fill("#q", &running.to_string());
    tab.leaving(|| tab.key("Enter"));
    assert_eq!(tab.path(), format!("/runs/{running}"));

    // A run's log, by step; calling it off.
    tab.eval("document.getElementById('log-step').value = 'command'");
    tab.follow("form button", "Show");
    assert!(tab.path().ends_with("?step=command") && tab.reads().contains("of 4000"), "{}", tab.path());
    tab.follow("a", "Cancel");
    tab.follow("button", "Cancel run");
    assert!(tab.reads().contains("Canceled"), "{}", tab.reads());

    // A gate.
    site.visit(&tab, &format!("/runs/{gate}"));
    tab.fill("#comment", "by hand");
    tab.follow("button", "Approve");
    site.until(gate, |run| run.state == State::Succeeded);

    // Several runs.
    site.visit(&tab, "/runs?kind=mail.digest");
    tab.click("tbody input[type=checkbox]", "select");
    tab.follow("button", "Cancel");
    tab.follow(".actions button", "");
    assert!(tab.reads().contains(": 1"), "{}", tab.reads());

    // Kinds, tokens, and the way out.
    tab.follow("nav a", "Kinds");
    tab.follow("td button", "Pause");
    assert!(tab.shows(".state", "paused"), "{}", tab.reads());
    tab.follow("nav a", "Tokens");
    tab.fill("#name", "made by hand");
    tab.follow("button", "Create token");
    assert!(tab.eval("document.getElementById('secret').value").as_str().unwrap().starts_with("spr_"));
    tab.follow("button", "Sign out");
    assert_eq!(tab.path(), "/login");
    assert_eq!(tab.complaints(&site.url), [""; 0]);
}

#[test]
fn a_page_without_scripts_has_nothing_that_needs_them() {
    let gallery = Gallery::shared();
    let token = gallery.site.token(&["--name", "plain", "--scopes", "runs:read,runs:write"]);
    let tab = plain(&gallery.site, &token);
    tab.seen_as(PHONE_DARK);
    for path in ["/", "/runs", "/kinds", "/workers", &format!("/runs/{}", gallery.approved)] {
        gallery.site.visit(&tab, path);
        for selector in ["#log-tools", "[data-all]", "#liveness"] {
            assert!(!tab.shows(selector, ""), "{path} shows {selector}");
        }
        assert_eq!(tab.eval("document.scripts.length"), 1);
        assert_eq!(crate::checks::wider_than(&tab, PHONE_DARK), None);
    }
}
