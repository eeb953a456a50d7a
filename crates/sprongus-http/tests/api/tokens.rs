//! Tokens: made, used, revoked, expired, and never seen again.

use std::time::Duration;

use serde_json::json;
use sprongus_core::workspace::token::Scope;

use crate::scene::{Scene, play, until};

#[test]
fn a_token_is_shown_once_and_good_until_it_is_revoked() {
    play(|| async {
        let scene = Scene::new().await;
        let body = json!({"name": "ci", "scopes": ["runs:write", "runs:read"]});
        let made = scene.post("/v1/tokens", body).await.is(201);
        let token = made["token"].as_str().unwrap();
        assert!(token.starts_with("spr_"));
        assert_eq!(made["scopes"], json!(["runs:read", "runs:write"]));
        let own = scene.ask(token, "GET", "/v1/token", None).await.is(200);
        assert_eq!((&own["id"], &own["name"]), (&made["id"], &json!("ci")));
        let run = scene.ask(token, "POST", "/v1/runs", Some(json!({"kind": "a"}))).await.is(201);
        let events = scene.get(&format!("/v1/runs/{}/events", run["id"].as_str().unwrap())).await.is(200);
        assert_eq!(events["data"][0]["actor"], "ci");
        let listed = scene.get("/v1/tokens").await;
        assert!(!listed.text().contains(&token[4..]), "never shown again");
        assert_eq!(listed.json()["data"][0]["name"], "ci");
        let path = format!("/v1/tokens/{}", made["id"].as_str().unwrap());
        let revoked = scene.ask(&scene.all, "DELETE", &path, None).await.is(200);
        assert!(revoked["revokedAt"].is_string());
        scene.ask(token, "GET", "/v1/runs", None).await.refuses(401, "unauthenticated");
        assert_eq!(scene.ask(&scene.all, "DELETE", &path, None).await.is(200), revoked, "again is no change");
    });
}

#[test]
fn a_token_expires() {
    play(|| async {
        let scene = Scene::in_memory().await;
        let body = json!({"name": "brief", "scopes": ["runs:read"], "expiresInMs": 60_000});
        let made = scene.post("/v1/tokens", body).await.is(201);
        let token = made["token"].as_str().unwrap();
        scene.ask(token, "GET", "/v1/runs", None).await.is(200);
        scene.turn(Duration::from_secs(61));
        // It is trusted for a second after it was found good.
        until("it is refused", async || scene.ask(token, "GET", "/v1/runs", None).await.status != 200).await;
        scene.ask(token, "GET", "/v1/runs", None).await.refuses(401, "unauthenticated");
    });
}

#[test]
fn a_token_of_one_workspace_neither_sees_nor_revokes_anothers() {
    play(|| async {
        let scene = Scene::new().await;
        let other = scene.token("other", "theirs", &Scope::ALL).await;
        let listed = scene.ask(&other, "GET", "/v1/tokens", None).await.is(200);
        assert_eq!(listed["data"].as_array().unwrap().len(), 1);
        let all = scene.get("/v1/tokens").await.is(200);
        let ours = all["data"][0]["id"].as_str().unwrap().to_owned();
        scene.ask(&other, "DELETE", &format!("/v1/tokens/{ours}"), None).await.refuses(404, "not_found");
        scene.get("/v1/runs").await.is(200);
        let bad = json!({"name": "", "scopes": []});
        let problem = scene.post("/v1/tokens", bad).await.refuses(422, "validation");
        assert_eq!(problem["errors"].as_array().unwrap().len(), 2, "{problem}");
        let unknown = json!({"name": "x", "scopes": ["runs:read"], "projects": ["nowhere"]});
        scene.post("/v1/tokens", unknown).await.refuses(422, "validation");
    });
}
