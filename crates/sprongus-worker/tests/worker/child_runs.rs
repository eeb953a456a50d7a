//! Runs that a command hands to its worker, and what becomes of a command whose words are lost.

use serde_json::json;
use sprongus_core::json::Json;
use sprongus_core::run::NewRun;
use sprongus_core::run::list::ListFilter;
use sprongus_core::run::state::State;
use sprongus_core::values::names::ProjectId;

use crate::scene::Scene;

fn kind(name: &str, script: &str) -> String {
    format!("[kinds.{name}]\nmax_attempts = 1\ncommand = [\"sh\", \"-c\", '''{script}''']\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_is_enqueued_while_its_parent_runs_and_once() {
    let mut scene = Scene::new();
    let id = sprongus_core::values::ids::RunId::default();
    let line = format!(r#"child={{"id": "{id}", "kind": "child", "input": {{"n": 1}}, "priority": 7}}"#);
    let go = scene.path().join("go");
    let script = format!(
        "echo '{line}' >> $SPRONGUS_OUTPUT; echo '{line}' >> $SPRONGUS_OUTPUT; while [ ! -e {} ]; do sleep 0.05; done
         echo 'child={{\"kind\": \"child\"}}' >> $SPRONGUS_OUTPUT",
        go.display()
    );
    scene.declare(&kind("parent", &script));
    let parent = scene.enqueue("parent", json!({})).await;
    let child = loop {
        match scene.runs.get(id).await {
            Ok(child) => break child,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
        }
    };
    assert_eq!((child.kind.as_str(), child.priority, child.state), ("child", 7, State::Queued));
    assert_eq!(child.input, Json::from_value(json!({"n": 1})));
    assert_eq!(scene.get(parent).await.state, State::Running);
    std::fs::write(go, "").unwrap();
    scene.until_state(parent, State::Succeeded).await;
    let all = scene.runs.list(&ListFilter { limit: 100, ..ListFilter::default() }).await.unwrap().data;
    assert_eq!(all.len(), 3, "the parent, the child that was asked for twice, and the last one");
    assert!(scene.log(parent).await.contains(&format!("[enqueued run {id} of kind child]")));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_is_refused_fails_its_step_and_is_named() {
    let mut scene = Scene::new();
    scene.runs.create_project(&"ours".parse::<ProjectId>().unwrap()).await.unwrap();
    scene.runs.create_project(&"theirs".parse::<ProjectId>().unwrap()).await.unwrap();
    let say = |text: &str| format!("echo 'child={text}' >> $SPRONGUS_OUTPUT");
    scene.declare(
        &[
            kind("a", &say(r#"{"kind": "../x"}"#)),
            kind("b", &say("not json")),
            kind("c", &say(r#"{"kind": "x", "projectId": "nobodys"}"#)),
            kind("d", &say(r#"{"kind": "x", "projectId": "theirs"}"#)),
            kind("e", &say(r#"{"kind": "x"}"#)),
        ]
        .concat(),
    );
    for (kind, project, why) in [
        ("a", None, "not a kind"),
        ("b", None, "JSON"),
        ("c", None, "no such project: nobodys"),
        ("d", Some("ours"), "its project is theirs, but this run's is ours"),
    ] {
        let new =
            NewRun { project_id: project.map(str::to_owned), ..NewRun::new(kind, Json::empty_object()) };
        let id = scene.enqueue_with(new).await;
        let run = scene.until(id, |run| run.state.is_final()).await;
        let error = run.error.unwrap_or_default();
        assert_eq!(run.state, State::Failed, "{kind}");
        assert!(error.contains("a child run was refused") && error.contains(why), "{kind}: {error}");
    }
    let new = NewRun { project_id: Some("ours".to_owned()), ..NewRun::new("e", Json::empty_object()) };
    let id = scene.enqueue_with(new).await;
    scene.until_state(id, State::Succeeded).await;
    let all = scene.runs.list(&ListFilter { limit: 100, ..ListFilter::default() }).await.unwrap().data;
    let child = all.iter().find(|run| run.kind.as_str() == "x").unwrap();
    assert_eq!(
        child.project_id.as_ref().map(ProjectId::as_str),
        Some("ours"),
        "a child is in its parent's project"
    );
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_whose_words_are_lost_does_not_pass_for_done() {
    let mut scene = Scene::new();
    scene.declare(
        &[
            kind("removed", "echo result=1 >> $SPRONGUS_OUTPUT; rm $SPRONGUS_OUTPUT"),
            kind("folder", "rm $SPRONGUS_OUTPUT; mkdir $SPRONGUS_OUTPUT"),
            kind(
                "large",
                "head -c 1100000 /dev/zero | tr '\\0' x >> $SPRONGUS_OUTPUT; echo >> $SPRONGUS_OUTPUT",
            ),
            kind("anew", "echo result=7 > $SPRONGUS_OUTPUT.new; mv $SPRONGUS_OUTPUT.new $SPRONGUS_OUTPUT"),
        ]
        .concat(),
    );
    for (kind, why) in
        [("removed", "was removed"), ("folder", "no longer a regular file"), ("large", "1 MiB")]
    {
        let id = scene.enqueue(kind, json!({})).await;
        let run = scene.until(id, |run| run.state.is_final()).await;
        assert_eq!(run.state, State::Failed, "{kind}");
        let error = run.error.unwrap();
        assert!(error.contains("its report is lost: $SPRONGUS_OUTPUT") && error.contains(why), "{error}");
    }
    let id = scene.enqueue("anew", json!({})).await;
    assert_eq!(scene.until_state(id, State::Succeeded).await.result, Some(Json::from_value(json!(7))));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_has_the_last_lines_of_both_streams_and_a_redrawn_line_once() {
    let mut scene = Scene::new();
    let bar = "i=0; while [ $i -lt 3000 ]; do printf \"%s percent\\r\" $i; i=$((i+1)); done";
    scene.declare(
        &[
            kind("printed", &format!("echo the reason; {bar}; exit 1")),
            kind("both", "echo on stdout; echo on stderr >&2; exit 1"),
            kind("behind", &format!("{bar}; printf \"\\nout of paper\\n\"; exit 1")),
        ]
        .concat(),
    );
    for (kind, tail) in [
        ("printed", "the reason\n2999 percent"),
        ("both", "on stdout\non stderr"),
        ("behind", "2999 percent\nout of paper"),
    ] {
        let id = scene.enqueue(kind, json!({})).await;
        let run = scene.until_state(id, State::Failed).await;
        assert_eq!(run.error.unwrap(), format!("step \"command\" exited with 1\n{tail}"), "{kind}");
    }
    scene.end().await;
}
