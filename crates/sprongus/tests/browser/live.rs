//! Pages that are left open: what happens appears on them without a reload, and what is done on them happens.

use serde_json::json;
use sprongus::core::json::Json;
use sprongus::core::run::NewRun;
use sprongus::core::run::state::State;

use crate::site::{Site, input};
use crate::tab::Tab;

fn of(kind: &str) -> NewRun {
    NewRun::new(kind, Json::empty_object())
}

/// Opens a page, has it live, and marks it: the mark is gone when it is loaded again.
#[track_caller]
fn open(site: &Site, tab: &Tab, path: &str) {
    site.visit(tab, path);
    is_live(tab);
    tab.eval("globalThis.isKept = true");
}

#[track_caller]
fn is_live(tab: &Tab) {
    tab.until("document.getElementById('liveness').textContent === 'Live'");
}

#[track_caller]
fn was_kept(site: &Site, tab: &Tab) {
    assert_eq!(tab.eval("globalThis.isKept"), true, "it was loaded again");
    assert_eq!(tab.complaints(&site.url), [""; 0]);
}

#[test]
fn a_run_enqueued_meanwhile_appears_and_goes_its_way() {
    let site = Site::open();
    let (list, overview, kinds, workers) = (site.admin(), site.admin(), site.admin(), site.admin());
    open(&site, &list, "/runs");
    open(&site, &overview, "/");
    open(&site, &kinds, "/kinds");
    open(&site, &workers, "/workers");
    let id = site.enqueue(of("render.preview"));
    for tab in [&list, &overview] {
        tab.until_shows(&format!("tr:has(a[href='/runs/{id}']) progress"), "progress");
    }
    kinds.until_shows("tr a", "render.preview");
    workers.until_shows(&format!("a.chip[href='/runs/{id}']"), "render.preview");
    // What is chosen in a list stays so when its rows are new.
    let quick = site.enqueue(of("script.pull"));
    list.click(&format!("input[value^='{id}']"), "select");
    list.until_shows(&format!("tr:has(a[href='/runs/{quick}']) .state"), "succeeded");
    list.until_reads("1 selected:");
    let failed = site.enqueue(of("sync.props"));
    overview.until_shows(&format!("section[aria-labelledby=h-failed] a[href='/runs/{failed}']"), "");
    overview.until("document.querySelectorAll('.plot rect.good').length > 0");
    for tab in [&list, &overview, &kinds, &workers] {
        was_kept(&site, tab);
    }
}

#[test]
fn a_log_is_followed_until_somebody_scrolls_and_can_be_searched() {
    let site = Site::open();
    let id = site.enqueue(of("render.preview"));
    let tab = site.admin();
    open(&site, &tab, &format!("/runs/{id}"));
    let is_at_end =
        "(log => log.scrollHeight - log.scrollTop - log.clientHeight < 40)(document.getElementById('log'))";
    tab.until(
        "document.getElementById('log').scrollHeight > document.getElementById('log').clientHeight + 100",
    );
    tab.until(is_at_end);
    // It is the last line that is seen, and it is a new one each time.
    let last = "document.querySelector('#log li:last-child .text').textContent";
    let seen = tab.eval(last);
    tab.until(&format!("{last} !== {seen}"));
    assert_eq!(tab.eval(is_at_end), true);
    tab.eval("document.getElementById('log').scrollTop = 30");
    tab.until("!document.getElementById('log-follow').checked");
    let many = tab.eval("document.getElementById('log').childElementCount");
    tab.until(&format!("document.getElementById('log').childElementCount > {many}"));
    assert_eq!(
        tab.eval("document.getElementById('log').scrollTop"),
        30,
        "it stays where a reader has put it"
    );
    tab.click("label.pick", "Follow");
    tab.until(is_at_end);
    tab.fill("#log-search", "texture");
    tab.until("[...document.querySelectorAll('#log li')].some(it => it.hidden)");
    let shown =
        "[...document.querySelectorAll('#log li')].filter(it => !it.hidden).map(it => it.textContent)";
    let lines = tab.eval(shown);
    assert!(lines.as_array().unwrap().iter().all(|it| it.as_str().unwrap().contains("texture")), "{lines}");
    // A line that comes is searched too.
    let many = lines.as_array().unwrap().len();
    tab.until(&format!("{shown}.length > {many} && {shown}.every(it => it.includes('texture'))"));
    tab.key("Escape");
    tab.until("[...document.querySelectorAll('#log li')].every(it => !it.hidden)");
    was_kept(&site, &tab);
}

#[test]
fn a_gate_is_answered_and_the_run_goes_on() {
    let site = Site::open();
    let tab = site.admin();
    let id = site.enqueue(NewRun::new("agent.review", input(&json!({"storyboard": 14}))));
    open(&site, &tab, &format!("/runs/{id}"));
    tab.until_shows("button", "Approve");
    // The page may be new under one who writes: what was written stays.
    tab.fill("#comment", "good to go");
    tab.follow("button", "Approve");
    tab.until_reads("Succeeded");
    tab.until_reads("good to go");
    assert_eq!(site.until(id, |run| run.state.is_final()).state, State::Succeeded);

    let id = site.enqueue(NewRun::new("agent.review", input(&json!({"storyboard": 14}))));
    open(&site, &tab, &format!("/runs/{id}"));
    tab.click("button", "Reject");
    assert_eq!(
        tab.eval("document.querySelector('#reason').matches(':invalid')"),
        true,
        "a reason is asked for"
    );
    tab.fill("#reason", "the cut comes early");
    tab.follow("button", "Reject");
    tab.until_reads("the cut comes early");
    let run = site.until(id, |run| run.state == State::Failed);
    assert!(run.error.unwrap().contains("the cut comes early"));
    assert_eq!(tab.complaints(&site.url), [""; 0]);
}

#[test]
fn a_run_is_canceled_and_retried_after_a_question() {
    let site = Site::open();
    let tab = site.admin();
    let id = site.enqueue(of("render.preview"));
    open(&site, &tab, &format!("/runs/{id}"));
    tab.until_shows(".state", "running");
    tab.follow("a", "Cancel");
    tab.follow("a", "No, go back");
    assert_eq!(site.until(id, |_| true).state, State::Running, "to ask is not to do");
    tab.follow("a", "Cancel");
    tab.follow("button", "Cancel run");
    tab.until_reads("Canceled");
    site.until(id, |run| run.state == State::Canceled);
    tab.follow("a", "Retry");
    tab.follow("button", "Retry run");
    tab.until_reads("Started");
    site.until(id, |run| run.state == State::Running);
    assert_eq!(tab.complaints(&site.url), [""; 0]);
}

#[test]
fn many_runs_are_canceled_at_once_after_a_question_that_names_them() {
    let site = Site::open();
    site.enqueue_many("mail.digest", 3);
    let spared = site.enqueue(of("mail.weekly"));
    let tab = site.admin();
    open(&site, &tab, "/runs?kind=mail.digest");
    tab.click("input[data-all]", "select all");
    tab.until_reads("3 selected:");
    tab.follow("button", "Cancel");
    assert!(tab.reads().contains("3 runs:"), "{}", tab.reads());
    let named = tab.eval("document.querySelectorAll('.about li').length");
    assert_eq!(named, 3);
    tab.follow(".actions button", "");
    assert_eq!(tab.eval("document.querySelectorAll('.about a').length"), 3, "{}", tab.reads());
    tab.follow("a", "Back to the runs");
    site.visit(&tab, "/runs?kind=mail.digest&state=canceled");
    assert_eq!(tab.eval("document.querySelectorAll('tbody tr').length"), 3);
    assert_eq!(site.until(spared, |_| true).state, State::Queued);
}

#[test]
fn a_server_that_goes_away_is_told_of_and_what_was_missed_is_caught_up_with() {
    let mut site = Site::open();
    let tab = site.admin();
    open(&site, &tab, "/runs");
    site.stop_serving();
    tab.until("document.getElementById('liveness').textContent === 'Reconnecting'");
    site.serve_again();
    let id = site.enqueue(of("script.pull"));
    is_live(&tab);
    tab.until_shows(&format!("tr:has(a[href='/runs/{id}']) .state"), "succeeded");
    tab.forgives();
    was_kept(&site, &tab);
}

#[test]
fn a_session_that_ends_elsewhere_is_told_of() {
    let site = Site::open();
    let token = site.token(&["--name", "guest", "--scopes", "runs:read"]);
    let (guest, admin) = (site.signed_in(&token), site.admin());
    open(&site, &guest, "/");
    site.visit(&admin, "/tokens");
    admin.follow("tr:has(th:first-child) a.button", "Revoke…");
    assert!(admin.reads().contains("guest"), "{}", admin.reads());
    admin.follow(".actions button", "");
    guest.until("document.getElementById('liveness').textContent.startsWith('Signed out')");
    site.visit(&guest, "/runs");
    assert!(guest.path().starts_with("/login"), "{}", json!(guest.path()));
}
