//! Every screen, looked at in both colour schemes, wide and on a phone. Pictures of all of it are left in `target/screens/`.

use crate::checks::amiss;
use crate::gallery::Gallery;
use crate::pictures::left;
use crate::tab::{DARK, LIGHT, Look, PHONE_DARK, PHONE_LIGHT, Tab};

/// Who looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// Signed in, with every scope.
    Admin,
    /// May look, and nothing else.
    Reader,
    /// In a workspace where nothing has ever happened.
    Newcomer,
    /// Not signed in.
    Stranger,
}

/// How one gets to a screen.
enum Way {
    At(String),
    Through(fn(&Gallery, &Tab)),
}

/// A screen, and something that only it reads.
struct Screen {
    name: &'static str,
    who: Who,
    way: Way,
    reads: &'static str,
}

fn at(name: &'static str, who: Who, path: impl Into<String>, reads: &'static str) -> Screen {
    Screen { name, who, way: Way::At(path.into()), reads }
}

fn through(name: &'static str, who: Who, way: fn(&Gallery, &Tab), reads: &'static str) -> Screen {
    Screen { name, who, way: Way::Through(way), reads }
}

/// All of them. A new screen is a line here.
fn screens(it: &Gallery) -> Vec<Screen> {
    use Who::{Admin, Newcomer, Reader, Stranger};
    let run = |id| format!("/runs/{id}");
    vec![
        at("overview", Admin, "/", "Ended runs"),
        at("overview-empty", Newcomer, "/", "No failed runs"),
        at("runs", Admin, "/runs", "Older"),
        through("runs-older", Admin, older, "Newest"),
        at("runs-filtered", Admin, "/runs?state=failed&kind=sync.props&since=2d", "exited with 1"),
        at("runs-none", Admin, "/runs?kind=nobody.has", "No runs match these filters"),
        at("runs-not-found", Admin, "/runs?q=nowhere", "No run has the id or key"),
        at("runs-empty", Newcomer, "/runs", "No runs yet"),
        at("runs-reader", Reader, "/runs", "Older"),
        at("run-succeeded", Admin, run(it.succeeded), "Succeeded"),
        at("run-failed", Admin, run(it.failed), "Failed"),
        at("run-running", Admin, run(it.running), "Started"),
        at("run-queued", Admin, run(it.queued), "Waiting for a worker: no worker serves its kind"),
        at("run-delayed", Admin, run(it.delayed), "Waiting for its scheduled time, due"),
        at("run-canceled", Admin, run(it.canceled), "Canceled"),
        at("run-waiting", Admin, run(it.waiting), "Waiting for approval"),
        at("run-waiting-reader", Reader, run(it.waiting), "runs:approve"),
        at("run-approved", Admin, run(it.approved), "report.md"),
        at("cancel", Admin, format!("/runs/{}/cancel", it.running), "Cancel this run?"),
        at("retry", Admin, format!("/runs/{}/retry", it.failed), "Retry this run?"),
        through("bulk", Admin, chosen, "No, go back"),
        at("kinds", Admin, "/kinds", "paused"),
        at("kinds-empty", Newcomer, "/kinds", "No runs are queued or running"),
        at("schedules", Admin, "/schedules", "Europe/Berlin"),
        at("schedules-empty", Newcomer, "/schedules", "No schedules yet"),
        at("schedule", Admin, "/schedules/nightly", "Clock changes in the next 12 months"),
        at("schedule-reader", Reader, "/schedules/poll", "Next ticks"),
        at("schedule-delete", Admin, "/schedules/poll/delete", "Delete this schedule?"),
        at("workers", Admin, "/workers", "render.preview"),
        at("workers-empty", Newcomer, "/workers", "No workers are running"),
        through("drain", Admin, |_, tab| to(tab, "/workers", "a.button", "Drain"), "Drain this worker?"),
        at("audit", Admin, "/audit", "run.enqueued"),
        at("audit-asked", Reader, "/audit?what=asked&actor=nobody", "No events match these filters"),
        at("audit-empty", Newcomer, "/audit", "No events yet"),
        at("tokens", Admin, "/tokens", "(this session)"),
        through("revoke", Admin, |_, tab| to(tab, "/tokens", "a.button", "Revoke"), "Revoke"),
        through("token-made", Admin, make_token, "shown only once"),
        at("login", Stranger, "/login", "Sign in to Sprongus"),
        through("login-refused", Stranger, mistype, "This token is not valid"),
        at("forbidden", Reader, "/tokens", "403"),
        at("run-nowhere", Admin, "/runs/01M80754EYEPXACT01756B8CYE", "404"),
        at("nowhere", Admin, "/nowhere", "404"),
        at("unreadable", Admin, "/runs?since=yesterdayish", "422"),
    ]
}

fn older(_: &Gallery, tab: &Tab) {
    to(tab, "/runs", "a.button", "Older");
}

/// Goes on from a page by a link or button of it.
fn to(tab: &Tab, path: &str, selector: &str, text: &str) {
    let home = tab.eval("location.origin");
    tab.goto(&format!("{}{path}", home.as_str().unwrap()));
    tab.follow(selector, text);
}

fn chosen(it: &Gallery, tab: &Tab) {
    it.site.visit(tab, "/runs?state=failed&state=canceled");
    tab.click("input[type=checkbox][data-all]", "select all");
    tab.follow("button", "Retry");
}

fn make_token(it: &Gallery, tab: &Tab) {
    it.site.visit(tab, "/tokens");
    tab.fill("#name", "ci of the film");
    tab.follow("button", "Create token");
}

fn mistype(it: &Gallery, tab: &Tab) {
    it.site.visit(tab, "/login");
    tab.fill("#token", "spr_mistyped");
    tab.leaving(|| tab.key("Enter"));
}

fn look_at_all(look: Look) {
    let gallery = Gallery::shared();
    let reader = gallery.site.token(&["--name", "reader", "--scopes", "runs:read"]);
    let newcomer =
        gallery.site.token(&["--name", "newcomer", "--scopes", "runs:read,admin", "--workspace", "quiet"]);
    let (admin, reader) = (gallery.site.admin(), gallery.site.signed_in(&reader));
    let (newcomer, stranger) = (gallery.site.signed_in(&newcomer), gallery.site.stranger());
    for tab in [&admin, &reader, &newcomer, &stranger] {
        tab.seen_as(look);
    }
    let mut found = Vec::new();
    for screen in screens(&gallery) {
        let tab = match screen.who {
            Who::Admin => &admin,
            Who::Reader => &reader,
            Who::Newcomer => &newcomer,
            Who::Stranger => &stranger,
        };
        match screen.way {
            Way::At(path) => gallery.site.visit(tab, &path),
            Way::Through(way) => way(&gallery, tab),
        }
        tab.until_reads(screen.reads);
        tab.until("!document.querySelector('main[data-live]') || document.getElementById('liveness').textContent === 'Live'");
        let amiss = amiss(tab, look, &gallery.site.url);
        found.extend(amiss.into_iter().map(|it| format!("{} ({:?}): {it}", screen.name, screen.who)));
        tab.picture(&left(&format!("{}/{}", look.name, screen.name)), true);
    }
    assert!(found.is_empty(), "{} in all:\n{}", found.len(), found.join("\n"));
}

#[test]
fn every_screen_is_good_in_light() {
    look_at_all(LIGHT);
}

#[test]
fn every_screen_is_good_in_the_dark() {
    look_at_all(DARK);
}

#[test]
fn every_screen_is_good_on_a_phone() {
    look_at_all(PHONE_LIGHT);
}

#[test]
fn every_screen_is_good_on_a_phone_in_the_dark() {
    look_at_all(PHONE_DARK);
}
