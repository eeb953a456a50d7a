//! A negative control: the comparison must find stores that break a promise, or its silence means nothing.

#![expect(clippy::panic, reason = "a control panics when it fails")]

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Once};

use sprongus_conformance::fixture::{self, Fixture};
use sprongus_conformance::{Model, TurnedClock, histories, store};
use sprongus_core::store::Store;

mod faulty;
use faulty::{Door, Fault, Faulty};

async fn faulty(clock: TurnedClock, fault: Fault) -> (Arc<dyn Store>, ()) {
    (Arc::new(Faulty::new(Model::new(Arc::new(clock)), fault)), ())
}

thread_local! {
    /// Where this thread panicked last.
    static PANICKED_AT: RefCell<Option<(String, u32)>> = const { RefCell::new(None) };
}

/// The text of a panic in `test`, and the line of code that panicked.
fn failure(test: impl FnOnce()) -> (String, String) {
    static NOTED: Once = Once::new();
    NOTED.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let at = info.location().map(|place| (place.file().to_owned(), place.line()));
            PANICKED_AT.with(|noted| noted.replace(at));
            before(info);
        }));
    });
    let Err(panic) = catch_unwind(AssertUnwindSafe(test)) else { panic!("a broken store passed") };
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap_or_default();
    let Some((file, line)) = PANICKED_AT.with(RefCell::take) else { panic!("no place: {text}") };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let source = std::fs::read_to_string(root.join(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let code = source.lines().nth(line as usize - 1).unwrap_or_default();
    (text, format!("{file}: {}", code.trim()))
}

/// Where a store and the model differ: what was asked or looked at, and a line of each answer.
struct Difference<'a> {
    what: &'a str,
    model: &'a str,
    store: &'a str,
}

impl<'a> Difference<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (reason, _) = text.split_once("\nin this history:")?;
        let (what, lines) = reason.split_once("\n the model: ")?;
        let (model, store) = lines.split_once("\n the store: ")?;
        Some(Self { what: what.lines().last()?, model, store })
    }

    /// One of these reports, which the model refuses because its lease is lost, is answered in another way.
    fn is_of_a_lost_lease(&self, reports: &[&str]) -> bool {
        reports.iter().any(|report| self.what.contains(report))
            && self.model.starts_with("refused: lease_lost")
    }

    /// What is left of both lines when the value behind a name is taken out of them: the same.
    fn is_only_in(&self, name: &str) -> bool {
        let without = |line: &str| {
            let (head, tail) = line.split_once(name)?;
            let end = tail.find([',', '}'])?;
            Some(format!("{head}{}", tail.get(end..)?))
        };
        without(self.model).is_some_and(|model| without(self.store) == Some(model))
    }
}

/// Random histories tell the store from the model, by what this fault means.
fn is_found(fault: Fault, is_it: impl Fn(&Difference<'_>) -> bool) {
    let make = async |clock: TurnedClock| faulty(clock, fault).await;
    let (text, _) = failure(|| histories::compare(make, 500));
    assert!(text.contains("SPRONGUS_SEED="), "the seed is printed: {text}");
    let Some(difference) = Difference::read(&text) else { panic!("no difference: {text}") };
    assert!(is_it(&difference), "another difference: {text}");
}

/// The case fails, in a line of its own with this code, and says this.
fn is_found_by<Ran: Future<Output = ()>>(
    fault: Fault,
    case: impl FnOnce(Fixture) -> Ran,
    code: &str,
    words: &str,
) {
    let make = async |clock| faulty(clock, fault).await;
    let (text, at) = failure(|| fixture::drive(make, case));
    let is_it = at.contains("/src/store/") && at.contains(code) && text.contains(words);
    assert!(is_it, "another failure than {code:?} ({words:?}): {at}: {text}");
}

#[test]
fn a_store_that_ignores_the_epoch_is_found() {
    is_found(Fault::IgnoresTheEpoch, |it| it.is_of_a_lost_lease(&["Finish"]));
}

#[test]
fn a_store_that_ignores_the_lease_token_is_found() {
    is_found(Fault::IgnoresTheToken(Door::Finish), |it| it.is_of_a_lost_lease(&["Finish"]));
    is_found(Fault::IgnoresTheToken(Door::Command), |it| {
        it.is_of_a_lost_lease(&["Progress", "Wait", "Cleaned"])
    });
}

#[test]
fn a_store_that_ignores_the_lease_token_at_any_door_is_found() {
    use Door::{Command, DropFile, Finish, Heartbeat, PutFile, Record};
    for (door, report) in [
        (Heartbeat, "heartbeat"),
        (Finish, "success"),
        (Command, "progress"),
        (Record, "step"),
        (PutFile, "artifact"),
        (DropFile, "drop"),
    ] {
        is_found_by(
            Fault::IgnoresTheToken(door),
            store::lease::nothing_is_reported_without_the_claims_token,
            "assert_eq!(answer, Err(ErrorCode::LeaseLost), \"{report}\");",
            &format!("failed: {report}\n"),
        );
    }
}

#[test]
fn a_store_that_voids_no_token_is_found() {
    is_found(Fault::KeepsTheTokenBefore, |it| it.is_only_in("lease_hash: "));
}

#[test]
fn a_store_that_forgets_an_event_is_found() {
    is_found(Fault::ForgetsAnEvent, |it| it.model.starts_with("event: ") && it.model.contains(" seq: 4,"));
}

#[test]
fn a_store_that_exceeds_a_claims_limit_is_found() {
    is_found(Fault::ExceedsTheLimit, |it| it.what.contains("Claim") && it.store.starts_with("claimed: "));
}

#[test]
fn a_store_that_makes_a_run_twice_is_found() {
    is_found(Fault::ForgetsTheKey, |it| it.what.contains("Enqueue") && it.is_only_in("idempotency_key: "));
}

#[test]
fn a_store_that_never_moves_a_timer_by_itself_is_found() {
    is_found(Fault::NeverExpires, |it| {
        // A schedule is moved where timers are: its run, or how far it has got, is missing too.
        let is_moved =
            ["actor: \"system\"", "actor: \"schedule:"].iter().any(|actor| it.model.contains(actor));
        it.model.starts_with("event: ") && is_moved || it.model.starts_with("Setting {")
    });
}

#[test]
fn a_store_that_forgets_which_bytes_to_delete_is_found() {
    is_found(Fault::LosesItsBytes, |it| {
        it.what == "what was written in the end" && it.model.starts_with("\"default/")
    });
}

#[test]
fn a_store_that_leaves_events_out_of_its_stream_is_found() {
    is_found_by(
        Fault::StreamsInPart,
        store::stream::a_reader_among_writers_misses_nothing,
        "assert_eq!(seen.remove(id).unwrap_or_default(), f.events(*id).await);",
        "failed",
    );
}

#[test]
fn a_store_that_looks_back_upon_a_part_is_found() {
    is_found_by(
        Fault::AuditsInPart,
        store::audit::everything_is_looked_back_upon_newest_first,
        "assert_eq!(seen, expected);",
        "failed",
    );
}

#[test]
fn a_store_that_looks_back_upon_other_projects_is_found() {
    is_found_by(
        Fault::AuditsOtherProjects,
        store::audit::nobody_looks_back_upon_what_is_anothers,
        "&everything, 1).await), [own]);",
        "failed",
    );
}

#[test]
fn a_store_that_looks_back_upon_whoever_it_was_is_found() {
    is_found_by(
        Fault::AuditsWhoever,
        store::audit::what_is_looked_for_alone_is_found,
        "found(by(&[], Some(\"amy\"))).await",
        "failed",
    );
}

#[test]
fn a_store_that_gives_up_looking_back_is_found() {
    is_found_by(
        Fault::EndsItsAudit,
        store::audit::a_look_is_bounded_and_says_where_it_came_to,
        "assert_eq!(second.found.iter()",
        "left: []",
    );
}

#[test]
fn a_store_that_forgets_tokens_is_found() {
    is_found_by(
        Fault::ForgetsTokens,
        store::rollup::tokens_are_added_up_as_steps_end,
        "assert_eq!((of(\"review\"), of(\"plain\"))",
        "left: ((2200, 0), (0, 0))",
    );
}

#[test]
fn a_store_that_forgets_what_operators_did_is_found() {
    is_found_by(
        Fault::ForgetsOperators,
        store::operator::tokens_are_made_and_revoked_on_record,
        "let [last, first] = events.as_slice()",
        "two events",
    );
}

#[test]
fn a_store_that_puts_a_schedules_cursor_back_is_found() {
    is_found_by(
        Fault::PutsCursorsBack,
        store::schedule::an_edit_is_a_new_revision_and_loses_no_tick,
        "assert_eq!(revisions, [1, 2]);",
        "failed",
    );
}
