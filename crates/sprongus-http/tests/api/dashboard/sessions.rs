//! Signing in, what a session is good for, and what another site can do with it.

use std::time::Duration;

use serde_json::json;
use sprongus_core::Caller;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::workspace::token::{NewToken, Scope, TokenSecret};

use super::browser::{Browser, hidden, post_form, well_made};
use crate::raw;
use crate::scene::{Scene, play, until};

#[test]
fn without_a_session_every_page_leads_to_the_form_and_back() {
    play(|| async {
        let scene = Scene::new().await;
        let nobody = Browser { address: scene.address, cookie: String::new() };
        for path in
            ["/", "/runs?state=failed", "/kinds", "/workers", "/tokens", "/runs/01M80754D6E7K919GRYZ8BH27Q"]
        {
            let reply = nobody.ask(path).await;
            assert_eq!(reply.status, 303, "{path}");
            let target = reply.header("location").unwrap();
            let next = target.strip_prefix("/login?next=").unwrap_or_else(|| panic!("{target}"));
            let page = nobody.page(target).await;
            let kept = hidden(&page, "next").unwrap();
            assert_eq!(kept, path, "{next}");
            let reply =
                post_form(scene.address, "/login", &[], &[("token", &scene.all), ("next", &kept)]).await;
            assert_eq!((reply.status, reply.header("location")), (303, Some(path)));
        }
        for next in ["https://evil.example/", "//evil.example", "/\\evil.example"] {
            let reply =
                post_form(scene.address, "/login", &[], &[("token", &scene.all), ("next", next)]).await;
            assert_eq!(reply.header("location"), Some("/"), "{next}");
        }
    });
}

#[test]
fn the_cookie_is_for_this_site_and_no_script() {
    play(|| async {
        let scene = Scene::new().await;
        let sign_in = async |headers: &[(&str, &str)], token: &str| {
            let reply = post_form(scene.address, "/login", headers, &[("token", token)]).await;
            reply.header("set-cookie").unwrap().to_owned()
        };
        let plain = sign_in(&[], &scene.all).await;
        for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"] {
            assert!(plain.contains(attribute), "{plain}");
        }
        assert!(!plain.contains("Secure") && !plain.contains("Max-Age"), "{plain}");
        assert!(plain.starts_with("sprongus_session_80="), "{plain}");
        let secure = sign_in(&[("X-Forwarded-Proto", "https")], &scene.all).await;
        assert!(
            secure.starts_with("__Host-sprongus_session_443=") && secure.contains("; Secure"),
            "{secure}"
        );
        let port = format!("sprongus_session_{}=", scene.address.port());
        let request = raw::request("GET", "/livez", &[], b"");
        assert_eq!(raw::bytes(scene.address, &request).await.header("set-cookie"), None);
        let host = scene.address.to_string();
        let form = [("Host", host.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
        let body = format!("token={}", scene.all);
        let named = raw::bytes(scene.address, &raw::of_host("POST", "/login", &form, body.as_bytes())).await;
        assert!(named.header("set-cookie").unwrap().starts_with(&port), "{named:?}");
        let admin = scene.service.admin(Caller::new(WorkspaceId::local(), "tester"));
        let expires_in = Some(Duration::from_secs(3_600));
        let new = NewToken { name: "short".into(), scopes: vec![Scope::Read], projects: None, expires_in };
        let made = admin.create_token(new).await.unwrap();
        let short = sign_in(&[], made.secret.expose()).await;
        let life: u64 = short.split("Max-Age=").nth(1).unwrap().parse().unwrap();
        assert!((3_590..=3_600).contains(&life), "{short}");
    });
}

#[test]
fn a_wrong_token_is_refused_and_not_repeated() {
    play(|| async {
        let scene = Scene::new().await;
        let unknown = TokenSecret::generate().unwrap().expose().to_owned();
        for wrong in ["", "hunter2", unknown.as_str()] {
            let reply = post_form(scene.address, "/login", &[], &[("token", wrong), ("next", "/runs")]).await;
            assert_eq!(reply.status, 401);
            let page = well_made("/login", &reply);
            assert!(page.contains("This token is not valid") && (wrong.is_empty() || !page.contains(wrong)));
            assert_eq!(hidden(&page, "next").as_deref(), Some("/runs"));
            assert_eq!(reply.header("set-cookie"), None);
        }
    });
}

#[test]
fn strangers_cannot_shut_the_door() {
    play(|| async {
        let scene = Scene::new().await;
        let unknown = TokenSecret::generate().unwrap().expose().to_owned();
        for wrong in ["wrong", unknown.as_str()] {
            for _ in 0..40 {
                assert_eq!(post_form(scene.address, "/login", &[], &[("token", wrong)]).await.status, 401);
            }
        }
        Browser::of(&scene, &scene.all).await;
    });
}

/// What a browser holds is good for the dashboard, on every server of the database, and for nothing else.
#[test]
fn a_session_is_no_token_and_is_known_by_every_server() {
    play(|| async {
        let scene = Scene::new().await;
        let browser = Browser::of(&scene, &scene.all).await;
        let (_, held) = browser.cookie.split_once('=').unwrap();
        assert!(!scene.all.contains(held) && !held.contains("spr_"), "{held}");
        assert_eq!(Browser::of(&scene, &scene.all).await.cookie.len(), browser.cookie.len());
        assert_ne!(Browser::of(&scene, &scene.all).await.cookie, browser.cookie);
        for bearer in [held.to_owned(), format!("spr_{held}"), browser.cookie.clone()] {
            scene.ask(&bearer, "GET", "/v1/runs", None).await.refuses(401, "unauthenticated");
        }
        // The token itself is no session.
        let forged = Browser { address: scene.address, cookie: format!("sprongus_session_80={}", scene.all) };
        assert_eq!(forged.ask("/runs").await.status, 303);
        let beside = Browser { address: scene.beside().await, cookie: browser.cookie.clone() };
        beside.page("/runs").await;
        assert_eq!(beside.post("/logout", &[]).await.status, 303);
        assert_eq!(beside.ask("/runs").await.status, 303);
        until("a copy of the cookie is refused", async || browser.ask("/runs").await.status == 303).await;
    });
}

#[test]
fn a_session_ends_with_its_token_and_by_signing_out() {
    play(|| async {
        let scene = Scene::new().await;
        let token = scene.token("default", "guest", &[Scope::Read]).await;
        let guest = Browser::of(&scene, &token).await;
        guest.page("/runs").await;
        let out = guest.post("/logout", &[]).await;
        assert_eq!((out.status, out.header("location")), (303, Some("/login")));
        assert!(out.header("set-cookie").unwrap().starts_with("sprongus_session_80=;"), "{out:?}");
        assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
        assert_eq!(guest.ask("/runs").await.status, 303, "the session is over, whoever has the cookie");
        let guest = Browser::of(&scene, &token).await;
        guest.page("/runs").await;
        let admin = Browser::of(&scene, &scene.all).await;
        let id = scene.get("/v1/tokens").await.is(200)["data"][0]["id"].as_str().unwrap().to_owned();
        let question = admin.page(&format!("/tokens/{id}/revoke")).await;
        assert!(question.contains("guest"), "{question}");
        assert_eq!(admin.post(&format!("/tokens/{id}/revoke"), &[]).await.status, 303);
        assert_eq!(guest.ask("/runs").await.status, 303);
    });
}

#[test]
fn the_api_does_not_know_the_cookie() {
    play(|| async {
        let scene = Scene::new().await;
        let run = scene.enqueue("a").await;
        let browser = Browser::of(&scene, &scene.all).await;
        for (method, path, body) in [
            ("GET", "/v1/runs".to_owned(), ""),
            ("GET", "/v1/stream".to_owned(), ""),
            ("GET", format!("/v1/runs/{run}/stream"), ""),
            ("POST", "/v1/runs".to_owned(), "{\"kind\": \"a\"}"),
            ("POST", format!("/v1/runs/{run}:cancel"), ""),
            ("POST", format!("/runner-jobs/{run}/cancel"), ""),
        ] {
            let headers = [("Cookie", browser.cookie.as_str()), ("Content-Type", "application/json")];
            let request = raw::request(method, &path, &headers, body.as_bytes());
            raw::bytes(scene.address, &request).await.refuses(401, "unauthenticated");
        }
        assert_eq!(scene.get(&format!("/v1/runs/{run}")).await.is(200)["state"], "queued");
    });
}

#[test]
fn another_site_can_make_a_browser_do_nothing() {
    play(|| async {
        let scene = Scene::new().await;
        let run = scene.enqueue("a").await;
        let (mine, theirs) =
            (Browser::of(&scene, &scene.all).await, scene.token("default", "other", &Scope::ALL).await);
        let theirs = Browser::of(&scene, &theirs).await.form_token().await;
        let own = mine.form_token().await;
        assert_ne!(own, theirs);
        let cancel = format!("/runs/{run}/cancel");
        let same = [("Sec-Fetch-Site", "same-origin")];
        for form in [vec![], vec![("form", "")], vec![("form", "00")], vec![("form", theirs.as_str())]] {
            assert_eq!(mine.post_raw(&cancel, &same, &form).await.status, 403, "{form:?}");
        }
        let form = [("form", own.as_str())];
        for site in [
            ("Sec-Fetch-Site", "cross-site"),
            ("Sec-Fetch-Site", "same-site"),
            ("Origin", "http://evil.example"),
            ("Origin", "null"),
        ] {
            let reply = mine.post_raw(&cancel, &[site], &form).await;
            assert_eq!(reply.status, 403, "{site:?}");
            well_made(&cancel, &reply);
            let reply = post_form(scene.address, "/login", &[site], &[("token", &scene.all)]).await;
            assert_eq!((reply.status, reply.header("set-cookie")), (403, None), "{site:?}");
        }
        let json = [("Cookie", mine.cookie.as_str()), ("Content-Type", "text/plain")];
        let body = format!("form={own}");
        let reply = raw::bytes(scene.address, &raw::request("POST", &cancel, &json, body.as_bytes())).await;
        assert_eq!(reply.status, 415);
        assert_eq!(scene.get(&format!("/v1/runs/{run}")).await.is(200)["state"], "queued");
        assert_eq!(mine.post_raw(&cancel, &[("Origin", "http://localhost")], &form).await.status, 303);
        assert_eq!(scene.get(&format!("/v1/runs/{run}")).await.is(200)["state"], "canceled");
    });
}

#[test]
fn a_link_from_elsewhere_is_requested_once_more_by_this_site() {
    play(|| async {
        let scene = Scene::new().await;
        let get = async |headers: &[(&str, &str)]| {
            raw::bytes(scene.address, &raw::request("GET", "/runs", headers, b"")).await
        };
        let first = get(&[("Sec-Fetch-Site", "cross-site")]).await;
        assert_eq!(first.status, 200);
        assert!(well_made("/runs", &first).contains("http-equiv=\"refresh\""));
        assert_eq!(get(&[("Sec-Fetch-Site", "same-origin")]).await.status, 303);
    });
}

#[test]
fn every_answer_carries_the_headers() {
    play(|| async {
        let scene = Scene::new().await;
        let browser = Browser::of(&scene, &scene.all).await;
        for path in [
            "/",
            "/login",
            "/runs",
            "/runs/01M80754D6E7K919GRYZ8BH27Q",
            "/nowhere",
            "/assets/style.css",
            "/assets/nothing",
        ] {
            let reply = browser.ask(path).await;
            let policy = reply.header("content-security-policy").unwrap_or_else(|| panic!("{path}"));
            for part in [
                "default-src 'none'",
                "script-src 'self'",
                "frame-ancestors 'none'",
                "form-action 'self'",
                "base-uri 'none'",
            ] {
                assert!(policy.contains(part), "{path}: {policy}");
            }
            assert!(!policy.contains("unsafe"), "{policy}");
            assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
            assert_eq!(reply.header("referrer-policy"), Some("same-origin"), "{path}");
            let caching =
                if path == "/assets/style.css" { "public, max-age=31536000, immutable" } else { "no-store" };
            assert_eq!(reply.header("cache-control"), Some(caching), "{path}");
        }
        assert_eq!(browser.ask("/nowhere").await.status, 404);
        well_made("/nowhere", &browser.ask("/nowhere").await);
        scene.get("/nowhere").await.refuses(404, "not_found");
        assert_eq!(browser.ask("/runs?token=hunter2").await.status, 400);
        assert_eq!(scene.post("/v1/runs", json!({"kind": "a"})).await.status, 201);
    });
}
