//! A worker is killed in the middle of a step, whichever it is: the next attempt starts afresh, repeats no `once` step that completed, runs
//! its CLEANUP, nothing of the dead attempt is left, and history shows both.

use std::time::Duration;

use serde_json::{Value, json};
use sprongus::core::json::Json;
use sprongus::core::run::NewRun;
use sprongus::core::values::ids::RunId;

use crate::backing::{Backing, on_both};
use crate::project_folder::ProjectFolder;
use crate::tempo::{eventually, form};

on_both!(a_worker_dies_in_each_step);

const LIMIT: Duration = Duration::from_secs(60);

/// Phase, name, type and what else is said of each step.
const STEPS: [(&str, &str, &str, &str); 4] = [
    ("setup", "fetch", "command", "once = true"),
    ("execution", "build", "command", ""),
    ("validation", "check", "gate", ""),
    ("cleanup", "tidy", "command", ""),
];

/// The first attempt gets no further than the step it is to die in, and leaves a child that ignores TERM, and a file.
const STEP: &str = r#"
tell "start-$2"
if [ "$SPRONGUS_ATTEMPT" = 1 ] && [ "$2" = "$3" ]; then
    touch left
    (trap '' TERM; exec sleep 60) &
    sleep 60
fi
test ! -e left || exit 78
tell "end-$2"
echo "$2 of attempt $SPRONGUS_ATTEMPT"
"#;

fn a_worker_dies_in_each_step(backing: Backing) {
    for _ in 0..form(1, 5) {
        for (_, victim, ..) in STEPS {
            dies_in(backing, victim);
        }
    }
}

fn dies_in(backing: Backing, victim: &str) {
    let project = ProjectFolder::new(backing);
    project.script("step", STEP);
    for (phase, name, kind, more) in STEPS {
        let run =
            ProjectFolder::argv("step").replace(']', &format!(r#", "{name}", "{{{{ input.victim }}}}"]"#));
        project.declare(&format!(
            "[[kinds.build.steps]]\nphase = \"{phase}\"\nname = \"{name}\"\ntype = \"{kind}\"\nrun = {run}\n{more}\n"
        ));
    }
    let input = Json::from_value(json!({"victim": victim}));
    let run = project.enqueue("build", 1, |run| NewRun { input: Some(input.clone()), ..run })[0];
    let start = || project.worker(&["--concurrency", "1", "--lease", "2s"]);
    let mut first = start();
    let began = format!("start-{victim}");
    eventually("the step is begun", LIMIT, || project.journal().find(run, 1, &began).is_some());
    // What is told of a step is a moment on its way; what a worker had no time to tell nobody knows.
    eventually("that is told", LIMIT, || {
        steps(&project, run).iter().any(|step| step["name"] == victim && step["status"] == "running")
    });
    first.kill();
    let second = start();
    project.until_all_ended(LIMIT);
    second.stops();

    let status = project.status(run);
    assert_eq!(
        (&status["state"], &status["attempt"]),
        (&json!("succeeded"), &json!(2)),
        "{victim}: {status}"
    );
    assert_eq!(status["crashes"], 1, "{victim}");
    assert_eq!(project.processes(), [], "{victim}: what the dead worker had started is still there");
    assert_eq!(
        attempts(&project),
        Vec::<String>::new(),
        "{victim}: the dead worker's folders are still there"
    );
    let journal = project.journal();
    let order = STEPS.iter().position(|(_, name, ..)| *name == victim).unwrap();
    for (place, (_, name, _, more)) in STEPS.iter().enumerate() {
        let ended: Vec<u32> = journal.said(&format!("end-{name}")).map(|line| line.epoch).collect();
        // What completed before the worker died, and again under the next attempt unless once was enough.
        let wanted = match (place < order, more.is_empty()) {
            (true, true) => vec![1, 2],
            (true, false) => vec![1],
            (false, _) => vec![2],
        };
        assert_eq!(ended, wanted, "{name}, with the worker dead in {victim}");
    }
    let steps = steps(&project, run);
    let shown = |attempt: u32, name: &str| {
        let all = steps.iter().filter(|step| step["attempt"] == attempt && step["name"] == name);
        all.map(|step| step["status"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(shown(1, victim), ["failed"], "{victim}: a step that nobody can end any more has failed");
    for (place, (_, name, _, more)) in STEPS.iter().enumerate() {
        let again = if place < order && !more.is_empty() { "skipped" } else { "completed" };
        assert_eq!(shown(2, name), [again], "{name}, with the worker dead in {victim}");
    }
    let history = project.history();
    assert_eq!((history.event_count(run, "run.lease_lost"), history.event_count(run, "run.started")), (1, 2));
}

fn steps(project: &ProjectFolder, run: RunId) -> Vec<Value> {
    let done = project.run(&["--json", "runs", "steps", &run.to_string()]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let page: Value = serde_json::from_str(&done.out).unwrap();
    page["data"].as_array().unwrap().clone()
}

/// The folders of attempts that are there.
fn attempts(project: &ProjectFolder) -> Vec<String> {
    let scratch = std::fs::read_dir(project.path().join("tmp")).unwrap();
    let folders =
        scratch.filter_map(|entry| std::fs::read_dir(entry.unwrap().path().join("attempts")).ok()).flatten();
    folders.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}
