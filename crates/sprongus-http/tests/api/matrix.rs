//! Every route by every sort of token, on what is its own and what is not. The routes are read from the router's own source, so that one
//! which stands there and not here fails.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use sprongus_core::Caller;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::workspace::token::{NewToken, Scope, TokenSecret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::dashboard::browser::{Browser, post_form};
use crate::raw;
use crate::rights;
use crate::scene::{Scene, play, until};

/// Whose a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// The workspace `default`, without a project.
    System,
    /// Its projects.
    One,
    Two,
    /// Another workspace.
    Other,
}

const OWNERS: [Owner; 4] = [Owner::System, Owner::One, Owner::Two, Owner::Other];

/// A sort of token.
struct Sort {
    name: &'static str,
    token: String,
    scopes: Vec<Scope>,
    is_live: bool,
    sees: Vec<Owner>,
}

impl Sort {
    fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

const ALL_BUT_ADMIN: [Scope; 4] = [Scope::Read, Scope::Write, Scope::Approve, Scope::Work];

async fn sorts(scene: &Scene) -> Vec<Sort> {
    let admin = scene.service.admin(Caller::new(WorkspaceId::local(), "tester"));
    let brief = NewToken {
        name: "expired".to_owned(),
        scopes: Scope::ALL.to_vec(),
        projects: None,
        expires_in: Some(Duration::from_millis(1)),
    };
    let expired = admin.create_token(brief.clone()).await.unwrap().secret.expose().to_owned();
    let revoked = admin.create_token(NewToken { expires_in: None, ..brief }).await.unwrap();
    admin.revoke_token(revoked.token.id).await.unwrap();
    until("its time is over", async || scene.ask(&expired, "GET", "/v1/runs", None).await.status == 401)
        .await;
    let unknown = TokenSecret::generate().unwrap().expose().to_owned();
    let dead =
        |name, token: String| Sort { name, token, scopes: Vec::new(), is_live: false, sees: Vec::new() };
    let mut all = vec![
        dead("none", String::new()),
        dead("garbage", unknown),
        dead("expired", expired),
        dead("revoked", revoked.secret.expose().to_owned()),
    ];
    let home = [Owner::System, Owner::One, Owner::Two];
    for (name, workspace, scopes, project, sees) in [
        ("other workspace", "other", &Scope::ALL[..], None, &[Owner::Other][..]),
        ("read", "default", &[Scope::Read], None, &home),
        ("write", "default", &[Scope::Write], None, &home),
        ("approve", "default", &[Scope::Approve], None, &home),
        ("work", "default", &[Scope::Work], None, &home),
        ("settings", "default", &[Scope::Settings], None, &home),
        ("admin", "default", &[Scope::Admin], None, &home),
        ("project one", "default", &ALL_BUT_ADMIN, Some("one"), &[Owner::One]),
        ("project two", "default", &ALL_BUT_ADMIN, Some("two"), &[Owner::Two]),
        ("root", "default", &Scope::ALL, None, &home),
    ] {
        let projects = project.map(|project| [project]);
        let projects = projects.as_ref().map(|projects| &projects[..]);
        let token = scene.narrowed(workspace, name, scopes, projects).await;
        all.push(Sort { name, token, scopes: scopes.to_vec(), is_live: true, sees: sees.to_vec() });
    }
    assert_eq!(all.len(), 14);
    all
}

/// A run of each owner, whose content nobody else has.
async fn runs(scene: &Scene) -> Vec<(Owner, String)> {
    for project in ["one", "two"] {
        scene.post("/v1/projects", json!({"id": project})).await.is(201);
    }
    let theirs = scene.token("other", "their admin", &Scope::ALL).await;
    let mut made = Vec::new();
    for (owner, token, project) in [
        (Owner::System, &scene.all, None),
        (Owner::One, &scene.all, Some("one")),
        (Owner::Two, &scene.all, Some("two")),
        (Owner::Other, &theirs, None),
    ] {
        let body = json!({"kind": format!("kind-{owner:?}"), "projectId": project, "input": {"text": content(owner)}});
        let run = scene.ask(token, "POST", "/v1/runs", Some(body)).await.is(201);
        made.push((owner, run["id"].as_str().unwrap().to_owned()));
    }
    made
}

fn schedule(owner: Owner) -> String {
    format!("of-{owner:?}").to_ascii_lowercase()
}

/// Makes the schedule that a path names what it was.
async fn renewed(scene: &Scene, theirs: &str, owner: Owner) {
    let token = if owner == Owner::Other { theirs } else { &scene.all };
    let projects = [(Owner::One, "one"), (Owner::Two, "two")];
    let project = projects.into_iter().find(|(it, _)| *it == owner).map(|(_, id)| id);
    let body = json!({"kind": "a", "every": "1h", "projectId": project, "input": {"text": content(owner)}});
    scene.ask(token, "PUT", &format!("/v1/schedules/{}", schedule(owner)), Some(body)).await.is(200);
}

fn content(owner: Owner) -> String {
    format!("CONTENT-OF-{owner:?}")
}

/// The status and what came with it; of a stream that stays open, its beginning.
async fn asked(
    scene: &Scene,
    headers: &[(&str, &str)],
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> (u16, String) {
    let text = body.map(Value::to_string).unwrap_or_default();
    let mut all = headers.to_vec();
    if body.is_some() {
        all.push(("Content-Type", "application/json"));
    }
    let request = raw::request(method, path, &all, text.as_bytes());
    let is_stream = path.ends_with("stream") || path.starts_with("/live/");
    if !is_stream {
        let reply = raw::bytes(scene.address, &request).await;
        return (reply.status, reply.text());
    }
    let mut stream = TcpStream::connect(scene.address).await.unwrap();
    stream.write_all(&request).await.unwrap();
    let mut heard = Vec::new();
    let mut piece = [0; 4_096];
    // What there is to send is sent at once; a busy machine sends less, which hides nothing that another cell would not show.
    while let Ok(Ok(read @ 1..)) = tokio::time::timeout(
        Duration::from_millis(if heard.is_empty() { 20_000 } else { 50 }),
        stream.read(&mut piece),
    )
    .await
    {
        heard.extend_from_slice(&piece[..read]);
    }
    let reply = raw::parse(&heard);
    (reply.status, reply.text())
}

/// What a route answers when the token and what it names are right: anything but a refusal of the token. Of a run there may be no such
/// file.
fn is_let_in(status: u16, path: &str) -> bool {
    let may_lack = ["artifacts/f", "workdir", "/never", "/w", "/w:drain", "NOBODY"];
    let is_missing =
        status == 404 && (may_lack.iter().any(|part| path.contains(part)) || path.contains("/tokens/"));
    is_missing || ![0, 401, 403, 404, 405, 421, 500, 503].contains(&status)
}

/// Refusals that come of something else than scope, project and workspace.
fn is_for_operators(method: &str, path: &str) -> bool {
    (method == "POST" && path == "/v1/workspaces")
        || (method == "DELETE" && path.starts_with("/v1/workspaces/"))
}

#[test]
fn every_route_of_the_api_by_every_token_on_every_run() {
    play(|| async {
        let scene = Scene::new().await;
        let (runs, sorts) = (runs(&scene).await, sorts(&scene).await);
        let theirs = scene.token("other", "their admin", &Scope::ALL).await;
        let mut wrong = Vec::new();
        let mut rows = rights::routes();
        rows.extend([("GET", "/v1/stream", Scope::Read, None), ("GET", "/metrics", Scope::Admin, None)]);
        for sort in &sorts {
            let bearer = format!("Bearer {}", sort.token);
            let headers: Vec<(&str, &str)> =
                if sort.name == "none" { Vec::new() } else { vec![("Authorization", bearer.as_str())] };
            for (method, path, scope, body) in &rows {
                let is_of_run = path.contains("{run}") || path.contains("{schedule}");
                for (owner, run) in runs.iter().filter(|(owner, _)| is_of_run || *owner == Owner::System) {
                    if *method == "PUT" && path.ends_with("{schedule}") && !sort.sees.contains(owner) {
                        // It would make one of its own.
                        continue;
                    }
                    if path.contains("{schedule}") {
                        renewed(&scene, &theirs, *owner).await;
                    }
                    let path = path.replace("{run}", run).replace("{schedule}", &schedule(*owner));
                    let (status, text) = asked(&scene, &headers, method, &path, body.as_ref()).await;
                    let is_right = if !sort.is_live {
                        status == 401
                    } else if !sort.allows(*scope) {
                        status == 403
                    } else if is_of_run && !sort.sees.contains(owner) {
                        status == 404
                    } else if is_for_operators(method, &path) && sort.name == "other workspace" {
                        [403, 404].contains(&status)
                    } else if *method == "POST" && path == "/v1/projects" && sort.name.starts_with("project")
                    {
                        status == 403
                    } else {
                        is_let_in(status, &path)
                    };
                    let named = OWNERS.into_iter().filter(|owner| text.contains(&content(*owner)));
                    let may_read = sort.allows(Scope::Read) || path == "/v1/runs:claim";
                    let leaks: Vec<_> =
                        named.filter(|owner| !may_read || !sort.sees.contains(owner)).collect();
                    if !is_right || !leaks.is_empty() {
                        wrong.push(format!(
                            "{method} {path} ({owner:?}) by {}: {status}, tells of {leaks:?}",
                            sort.name
                        ));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

/// What needs no token.
const OPEN: [(&str, &str); 6] = [
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/openapi.json"),
    ("GET", "/errors"),
    ("GET", "/login"),
    ("GET", "/assets/style.css"),
];

#[test]
fn what_is_open_is_open_to_everybody() {
    play(|| async {
        let scene = Scene::new().await;
        runs(&scene).await;
        for sort in sorts(&scene).await {
            let bearer = format!("Bearer {}", sort.token);
            for (method, path) in OPEN {
                let (status, _) = asked(&scene, &[("Authorization", &bearer)], method, path, None).await;
                assert_eq!(status, 200, "{path} by {}", sort.name);
            }
            let (status, _) = asked(&scene, &[("Authorization", &bearer)], "GET", "/v1/token", None).await;
            assert_eq!(status, if sort.is_live { 200 } else { 401 }, "{}", sort.name);
        }
    });
}

type Form = &'static [(&'static str, &'static str)];

/// The dashboard's pages and forms, with the scope that each needs.
const PAGES: [(&str, &str, Scope, Form); 27] = [
    ("GET", "/", Scope::Read, &[]),
    ("GET", "/runs", Scope::Read, &[]),
    ("POST", "/runs/bulk", Scope::Write, &[("do", "cancel")]),
    ("GET", "/runs/{run}", Scope::Read, &[]),
    ("GET", "/runs/{run}/log", Scope::Read, &[]),
    ("GET", "/runs/{run}/cancel", Scope::Write, &[]),
    ("POST", "/runs/{run}/cancel", Scope::Write, &[]),
    ("GET", "/runs/{run}/retry", Scope::Write, &[]),
    ("POST", "/runs/{run}/retry", Scope::Write, &[("epoch", "0")]),
    ("POST", "/runs/{run}/approve", Scope::Approve, &[("stepId", "01M80754D6E7K919GRYZ8BH27Q")]),
    (
        "POST",
        "/runs/{run}/reject",
        Scope::Approve,
        &[("stepId", "01M80754D6E7K919GRYZ8BH27Q"), ("reason", "no")],
    ),
    ("GET", "/runs/{run}/artifacts/f", Scope::Read, &[]),
    ("GET", "/kinds", Scope::Read, &[]),
    ("POST", "/kinds", Scope::Admin, &[("kind", "zzz"), ("paused", "true")]),
    ("GET", "/workers", Scope::Read, &[]),
    ("GET", "/workers/w/drain", Scope::Admin, &[]),
    ("POST", "/workers/w/drain", Scope::Admin, &[]),
    ("GET", "/audit", Scope::Read, &[]),
    ("GET", "/tokens", Scope::Admin, &[]),
    ("POST", "/tokens", Scope::Admin, &[("name", "x"), ("scope", "runs:read")]),
    ("GET", "/tokens/01M80754D6E7K919GRYZ8BH27Q/revoke", Scope::Admin, &[]),
    ("POST", "/tokens/01M80754D6E7K919GRYZ8BH27Q/revoke", Scope::Admin, &[]),
    ("GET", "/live/overview", Scope::Read, &[]),
    ("GET", "/live/runs", Scope::Read, &[]),
    ("GET", "/live/runs/{run}", Scope::Read, &[]),
    ("GET", "/live/kinds", Scope::Read, &[]),
    ("GET", "/live/workers", Scope::Read, &[]),
];

const MORE_PAGES: [(&str, &str, Scope, Form); 10] = [
    ("GET", "/live/audit", Scope::Read, &[]),
    ("GET", "/schedules", Scope::Read, &[]),
    ("GET", "/schedules/{schedule}", Scope::Read, &[]),
    ("POST", "/schedules/{schedule}/pause", Scope::Settings, &[]),
    ("POST", "/schedules/{schedule}/resume", Scope::Settings, &[]),
    ("POST", "/schedules/{schedule}/trigger", Scope::Write, &[]),
    ("GET", "/schedules/{schedule}/delete", Scope::Settings, &[]),
    ("POST", "/schedules/{schedule}/delete", Scope::Settings, &[]),
    ("GET", "/live/schedules", Scope::Read, &[]),
    ("GET", "/live/schedules/{schedule}", Scope::Read, &[]),
];

#[test]
fn every_page_by_every_session_on_every_run() {
    play(|| async {
        let scene = Scene::new().await;
        let (runs, sorts) = (runs(&scene).await, sorts(&scene).await);
        let theirs = scene.token("other", "their admin", &Scope::ALL).await;
        let mut wrong = Vec::new();
        for sort in &sorts {
            if !sort.is_live {
                let reply = post_form(scene.address, "/login", &[], &[("token", &sort.token)]).await;
                assert_eq!((reply.status, reply.header("set-cookie")), (401, None), "{}", sort.name);
            }
            let browser = if sort.is_live {
                Browser::of(&scene, &sort.token).await
            } else {
                // A token is no session, alive or not.
                Browser { address: scene.address, cookie: format!("sprongus_session_80={}", sort.token) }
            };
            let form_token = match sort.allows(Scope::Read) {
                true => browser.form_token().await,
                false => "none".to_owned(),
            };
            for (method, path, scope, fields) in PAGES.iter().chain(&MORE_PAGES) {
                let is_of_run = path.contains("{run}") || path.contains("{schedule}");
                for (owner, run) in runs.iter().filter(|(owner, _)| is_of_run || *owner == Owner::System) {
                    if path.contains("{schedule}") {
                        renewed(&scene, &theirs, *owner).await;
                    }
                    let path = path.replace("{run}", run).replace("{schedule}", &schedule(*owner));
                    let (status, text) = if *method == "GET" {
                        let headers = [("Cookie", browser.cookie.as_str()), ("Accept", "text/html")];
                        asked(&scene, &headers, method, &path, None).await
                    } else {
                        let mut all = vec![("form", form_token.as_str())];
                        all.extend_from_slice(fields);
                        let reply = browser.post_raw(&path, &[("Sec-Fetch-Site", "same-origin")], &all).await;
                        (reply.status, reply.text())
                    };
                    let has_form = *method == "GET" || sort.allows(Scope::Read);
                    let is_right = if !sort.is_live {
                        status == 303 || text.contains("event: signed-out")
                    } else if !sort.allows(*scope) || !has_form {
                        status == 403
                    } else if is_of_run && !sort.sees.contains(owner) {
                        status == 404
                    } else {
                        is_let_in(status, &path)
                    };
                    let named = OWNERS.into_iter().filter(|owner| text.contains(&content(*owner)));
                    let leaks: Vec<_> = named
                        .filter(|owner| !sort.allows(Scope::Read) || !sort.sees.contains(owner))
                        .collect();
                    if !is_right || !leaks.is_empty() {
                        wrong.push(format!(
                            "{method} {path} ({owner:?}) by {}: {status}, tells of {leaks:?}",
                            sort.name
                        ));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

/// A path with whatever it names made alike.
fn shape(path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default().replace("/@", ":");
    let path = path.strip_suffix("/style.css").map_or(path.clone(), |folder| format!("{folder}/*"));
    let segments = path.split('/').map(|segment| {
        let (name, verb) = segment.split_once(':').map_or((segment, None), |(name, verb)| (name, Some(verb)));
        let is_named =
            name.starts_with('{') || ["w", "never", "f", "01M80754D6E7K919GRYZ8BH27Q"].contains(&name);
        let name = if is_named { "*" } else { name };
        verb.map_or_else(|| name.to_owned(), |verb| format!("{name}:{verb}"))
    });
    segments.collect::<Vec<_>>().join("/")
}

/// The routes that a source file declares, a line each.
fn declared(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in source.lines() {
        let Some((path, methods)) =
            line.trim().strip_prefix(".route(\"").and_then(|rest| rest.split_once("\", "))
        else {
            continue;
        };
        for method in ["get", "post", "put", "delete", "patch"] {
            if methods.starts_with(&format!("{method}(")) || methods.contains(&format!(").{method}(")) {
                found.insert(format!("{} {}", method.to_uppercase(), shape(path)));
            }
        }
    }
    found
}

#[test]
fn every_route_of_the_router_is_in_the_matrix() {
    let api = include_str!("../../src/server/router.rs");
    let (api, _) = api.split_once("pub fn metrics_alone").unwrap();
    let pages = include_str!("../../src/server/dashboard.rs");
    let declared: BTreeSet<String> = declared(api).union(&declared(pages)).cloned().collect();
    assert!(declared.len() > 80, "they were not read: {declared:?}");
    let rows = rights::routes();
    let tried = rows.iter().map(|(method, path, ..)| (*method, *path));
    let pages = PAGES.iter().chain(&MORE_PAGES).map(|(method, path, ..)| (*method, *path));
    let others = [
        ("GET", "/v1/stream"),
        ("GET", "/v1/token"),
        ("GET", "/metrics"),
        ("POST", "/login"),
        ("POST", "/logout"),
    ];
    let tried: BTreeSet<String> = tried
        .chain(pages)
        .chain(OPEN)
        .chain(others)
        .map(|(method, path)| format!("{method} {}", shape(path)))
        .collect();
    let missing: Vec<_> = declared.difference(&tried).collect();
    assert!(missing.is_empty(), "tried with no token: {missing:?}");
    let stale: Vec<_> = tried.difference(&declared).collect();
    assert!(stale.is_empty(), "no route any more: {stale:?}");
}

/// Somebody without `runs:read` sees what became of a run, not what is in it.
#[test]
fn who_may_not_read_is_answered_without_content() {
    play(|| async {
        let scene = Scene::new().await;
        let writer = scene.token("default", "writer", &[Scope::Write]).await;
        let worker = scene.token("default", "worker", &[Scope::Work]).await;
        let is_bare = |run: &Value| {
            for field in ["input", "result", "error", "outputRef"] {
                assert!(run[field].is_null(), "{field} of {run}");
            }
            assert!(run["id"].is_string() && run["state"].is_string());
        };
        let mine = json!({"kind": "a", "input": {"n": 7}, "idempotencyKey": "k"});
        for status in [201, 200] {
            is_bare(&scene.ask(&writer, "POST", "/v1/runs", Some(mine.clone())).await.is(status));
        }
        let batch = json!({"runs": [mine, {"kind": "a", "input": {"n": 7}}]});
        let made = scene.ask(&writer, "POST", "/v1/runs:batch", Some(batch)).await.is(201);
        made["data"].as_array().unwrap().iter().for_each(|item| is_bare(&item["run"]));
        let job = json!({"type": "a", "data": {"n": 7}});
        let job = scene.ask(&writer, "POST", "/runner-jobs", Some(job)).await.is(201);
        assert!(job["data"].is_null(), "{job}");

        let claim = json!({"workerId": "w", "limit": 9});
        let claimed = scene.ask(&worker, "POST", "/v1/runs:claim", Some(claim)).await.is(200);
        let held = claimed["data"].as_array().unwrap();
        assert_eq!(held.len(), 3);
        assert!(held.iter().all(|run| run["input"] == json!({"n": 7})), "a claim is whole: {claimed}");
        let hold = |run: &Value, more: Value| {
            let lease = &run["lease"];
            let mut body = json!({"workerId": "w", "epoch": lease["epoch"]});
            if lease["token"].is_string() {
                body["leaseToken"] = lease["token"].clone();
            }
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            Some(body)
        };
        let report = async |run: &Value, verb: &str, more: Value| {
            let path = format!("/v1/runs/{}:{verb}", run["id"].as_str().unwrap());
            scene.ask(&worker, "POST", &path, hold(run, more)).await.is(200)
        };
        is_bare(&report(&held[0], "progress", json!({"progress": 5})).await);
        is_bare(&report(&held[0], "succeed", json!({"result": {"n": 8}, "outputRef": "ref"})).await);
        is_bare(&report(&held[1], "fail", json!({"error": "it broke", "retryable": false})).await);
        is_bare(&report(&held[2], "release", json!({})).await);
        let seen = scene.get(&format!("/v1/runs/{}", held[1]["id"].as_str().unwrap())).await.is(200);
        assert_eq!((&seen["error"], &seen["input"]), (&json!("it broke"), &json!({"n": 7})));

        for (run, verb) in [(&held[1], "retry"), (&held[1], "cancel"), (&held[1], "cancel")] {
            let id = run["id"].as_str().unwrap();
            is_bare(&scene.ask(&writer, "POST", &format!("/v1/runs/{id}:{verb}"), None).await.is(200));
            let job = scene.ask(&writer, "POST", &format!("/runner-jobs/{id}/cancel"), None).await.is(200);
            assert!(job["data"].is_null(), "{job}");
        }
    });
}
