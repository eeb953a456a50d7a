//! Who is told of which schedules, and of what in them.

use std::collections::BTreeMap;

use serde_json::json;
use sprongus_core::schedules::{Applied, Difference};
use sprongus_core::values::names::ScheduleId;
use sprongus_core::{Caller, ErrorCode};

use super::{create, definition, nightly, schedules};
use crate::fixture::{Fixture, refused};

/// A caller who is narrowed to projects sees and makes schedules of these alone.
pub async fn a_narrowed_caller_sees_schedules_of_its_projects_alone(f: Fixture) {
    let project = "mine".parse().unwrap();
    f.store.create_project(&f.caller, &project).await.unwrap();
    create(&f, json!({"every": "1m"})).await;
    let caller = Caller { projects: Some(vec![project]), ..f.caller.clone() };
    let narrowed = Fixture { caller, ..f.clone() };
    assert!(schedules(&narrowed).list(None, 10).await.unwrap().is_empty());
    assert_eq!(refused(schedules(&narrowed).delete(&nightly()).await).code(), ErrorCode::NotFound);
    let outside = definition(json!({"every": "1m"}));
    refused(schedules(&narrowed).create(&"own".parse().unwrap(), outside.clone()).await);
    refused(
        schedules(&narrowed).put(&nightly(), definition(json!({"every": "1m", "projectId": "mine"}))).await,
    );
    let inside = definition(json!({"every": "1m", "projectId": "mine"}));
    schedules(&narrowed).create(&"own".parse().unwrap(), inside).await.unwrap();
    assert_eq!(schedules(&narrowed).list(None, 10).await.unwrap().len(), 1);
    assert_eq!(schedules(&f).list(None, 10).await.unwrap().len(), 2);
    let unknown = definition(json!({"every": "1m", "projectId": "nobodys"}));
    refused(schedules(&f).create(&"third".parse().unwrap(), unknown).await);
    // Nor is it told of them by what a file would change.
    let file = |id: ScheduleId| {
        let mine = definition(json!({"every": "2m", "projectId": "mine"}));
        let schedules = BTreeMap::from([(id, mine)]);
        Applied { schedules, dry_run: true, ..Applied::default() }
    };
    let hidden = schedules(&narrowed).apply(&file(nightly())).await;
    assert_eq!(refused(hidden).code(), ErrorCode::Conflict);
    let own = schedules(&narrowed).apply(&file("own".parse().unwrap())).await.unwrap();
    assert_eq!(own.len(), 1);
}

/// Who may not read runs is told that an input changes by nothing.
pub async fn what_a_file_changes_tells_no_input_to_those_who_may_not_read(f: Fixture) {
    create(&f, json!({"every": "1m", "input": {"who": "ada"}})).await;
    let caller = Caller { sees_content: false, ..f.caller.clone() };
    let blind = Fixture { caller, ..f.clone() };
    let schedules_of_file = BTreeMap::from([(nightly(), definition(json!({"every": "2m"})))]);
    let applied = Applied { schedules: schedules_of_file, dry_run: true, ..Applied::default() };
    let names = |differences: Vec<Difference>| -> Vec<String> {
        differences.into_iter().flat_map(|one| one.fields).map(|field| field.name).collect()
    };
    assert_eq!(names(schedules(&f).apply(&applied).await.unwrap()), ["every", "input"]);
    assert_eq!(names(schedules(&blind).apply(&applied).await.unwrap()), ["every"]);
}
