//! Output beyond the log's share of it.

use serde_json::json;
use sprongus_core::json::Json;
use sprongus_core::run::NewRun;
use sprongus_core::run::state::State;

use crate::content::artifact_text;
use crate::model::{ModelServer, Reply};
use crate::scene::Scene;

/// 140 bytes a line, with its newline: the log's bytes are used up before its lines.
const LINE: &str = "line %09.0f of many, padded with words to its length so that few of them fill the log of a run quickly enough, long before it has too many";

/// What its runs may refer to.
const KIND: &str = "[kinds.k]\nsecrets = [\"file/key\"]\n";

fn step(name: &str, script: &str) -> String {
    format!(
        "[[kinds.k.steps]]\nphase = \"execution\"\nname = \"{name}\"\ntype = \"command\"\n\
         run = [\"sh\", \"-c\", '''{script}''']\nenv = {{ KEY = \"{{{{ input.key }}}}\" }}\n"
    )
}

fn scene() -> Scene {
    let mut scene = Scene::new();
    let secrets = scene.path().join("secrets");
    std::fs::create_dir(&secrets).unwrap();
    std::fs::write(secrets.join("key"), "a-very-secret-value").unwrap();
    scene.options.secrets = Some(secrets);
    scene
}

fn once() -> NewRun {
    NewRun {
        max_attempts: Some(1),
        ..NewRun::new("k", Json::from_value(json!({"key": "secret://file/key"})))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn log_and_artifact_together_are_the_whole_output() {
    let mut scene = scene();
    let many =
        format!("seq -f '\"'\"'{LINE}'\"'\"' 1 110000; echo \"key $KEY of a@example.org\"; echo end >&2");
    let many = many.replace("'\"'\"'", "\"");
    scene.declare(&(KIND.to_owned() + &step("a b", &many) + &step("next", "echo small; printf 'no end'")));
    let id = scene.enqueue_with(once()).await;
    scene.until_state(id, State::Succeeded).await;
    let log = scene.log(id).await;
    let spilled =
        artifact_text(&scene, id, "log/a b.txt".replace(' ', "-").replace(".txt", "~0.txt").as_str()).await;
    let said = log.iter().position(|line| line.starts_with('[')).unwrap();
    assert_eq!(log[said], "[more output is in the artifact log/a-b~0.txt]");
    let kept: usize = log[..said].iter().map(|line| line.len() + 1).sum();
    assert!((10 * 1024 * 1024 - 200..=10 * 1024 * 1024).contains(&kept), "{kept}");
    let all: Vec<_> = log[..said].iter().map(String::as_str).chain(spilled.lines()).collect();
    assert_eq!(all.len(), 110_002);
    // What is on stderr comes by a pipe of its own.
    let in_order = all.iter().filter(|line| **line != "end").take(110_000);
    for (line, number) in in_order.zip(1..) {
        assert_eq!(*line, LINE.replace("%09.0f", &format!("{number:09}")));
    }
    assert!(all.contains(&"key [secret] of [email]") && all.contains(&"end"));
    let bytes: usize = all.iter().map(|line| line.len() + 1).sum();
    assert_eq!(log[said + 1], format!("[output total: {bytes} bytes in 110002 lines]"));
    assert_eq!(log[said + 2], format!("[the artifact log/a-b~0.txt has {} bytes of it]", spilled.len()));
    assert_eq!(artifact_text(&scene, id, "log/next.txt").await, "small\nno end\n", "of every later step too");
    assert_eq!(scene.runs.artifacts(id).await.unwrap()[0].content_type, "text/plain; charset=utf-8");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_without_an_end_is_whole_in_the_artifact() {
    let mut scene = scene();
    let long = "head -c 11000000 /dev/zero | tr \"\\0\" x | fold -w 1000; head -c 300000 /dev/zero | tr \"\\0\" y; printf \"$KEY\"; \
                head -c 300000 /dev/zero | tr \"\\0\" z";
    scene.declare(&(KIND.to_owned() + &step("long", long)));
    let id = scene.enqueue_with(once()).await;
    scene.until_state(id, State::Succeeded).await;
    let spilled = artifact_text(&scene, id, "log/long.txt").await;
    let last = spilled.lines().last().unwrap();
    assert_eq!(last.trim_matches('x'), format!("{}[secret]{}", "y".repeat(300_000), "z".repeat(300_000)));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spill_that_cannot_be_kept_is_said_and_fails_nothing() {
    let mut scene = scene();
    scene.limit_artifacts(1_000);
    scene.declare(&(KIND.to_owned() + &step(
        "many",
        "yes 0123456789012345678901234567890123456789012345678901234567890123456789 | head -c 11000000",
    )));
    let id = scene.enqueue_with(once()).await;
    scene.until_state(id, State::Succeeded).await;
    let log = scene.log(id).await;
    let [.., total, fate] = log.as_slice() else { panic!("lines") };
    assert!(total.starts_with("[output total: 11000001 bytes in "), "{total}");
    assert!(fate.ends_with("bytes of it: an artifact can have at most 1000 bytes]"), "{fate}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_models_answer_goes_the_same_way() {
    let server = ModelServer::start(vec![Reply::answer(&["one\ntwo a@example.org"])]).await;
    let mut scene = scene();
    let fill =
        "yes 0123456789012345678901234567890123456789012345678901234567890123456789 | head -c 11000000";
    scene.declare(&format!(
        "[providers.local]\nbase_url = \"{}\"\nmodel = \"m\"\n{KIND}{}[[kinds.k.steps]]\nphase = \"execution\"\nname = \"ask\"\n\
         type = \"ai_action\"\nprovider = \"local\"\nprompt = \"x\"\n",
        server.url,
        step("fill", fill)
    ));
    let id = scene.enqueue_with(once()).await;
    scene.until_state(id, State::Succeeded).await;
    assert_eq!(artifact_text(&scene, id, "log/ask.txt").await, "one\ntwo [email]\n");
    scene.end().await;
}
