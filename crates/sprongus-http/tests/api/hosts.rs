//! Whom a server answers to.

use sprongus_http::server::Options;

use crate::raw;
use crate::scene::{Scene, play};

const ROUTES: [&str; 8] = [
    "/",
    "/login",
    "/livez",
    "/metrics",
    "/openapi.json",
    "/v1/runs",
    "/nowhere",
    "/v1/runs/01M80754D6E7K919GRYZ8BH27Q",
];

#[test]
fn a_server_on_loopback_answers_to_its_own_names_alone() {
    play(|| async {
        let public_url = Some("https://Runs.example:8443".parse().unwrap());
        let scene = Scene::with(Options { public_url, ..Options::default() }).await;
        let ask = async |path: &str, hosts: &[&str]| {
            let hosts: Vec<_> = hosts.iter().map(|host| ("Host", *host)).collect();
            raw::bytes(scene.address, &raw::of_host("GET", path, &hosts, b"")).await
        };
        for host in
            ["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:3000", "[::1]", "[::1]:80", "runs.example"]
        {
            assert_eq!(ask("/livez", &[host]).await.status, 200, "{host}");
        }
        assert_eq!(ask("/livez", &["RUNS.example:443"]).await.status, 200);
        for path in ROUTES {
            for host in
                ["evil.example", "evil.example:3000", "localhost.evil.example", "127.0.0.2", "0.0.0.0"]
            {
                let refused = ask(path, &[host]).await;
                let problem = refused.refuses(421, "misdirected");
                assert!(problem["hint"].as_str().unwrap().contains("--public-url"), "{problem}");
            }
            ask(path, &[]).await.refuses(400, "malformed");
            ask(path, &["localhost", "localhost"]).await.refuses(400, "malformed");
            for bad in
                ["", "a b", "user@localhost", "localhost:port", "localhost/x", "localhost, evil.example"]
            {
                ask(path, &[bad]).await.refuses(400, "malformed");
            }
        }
        let target =
            b"GET http://evil.example/livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        raw::bytes(scene.address, target).await.refuses(421, "misdirected");
        let older = raw::bytes(scene.address, b"GET /livez HTTP/1.0\r\n\r\n").await;
        assert_eq!(older.status, 200, "a balancer's probe has no host");
        let older = raw::bytes(scene.address, b"GET /livez HTTP/1.0\r\nHost: evil.example\r\n\r\n").await;
        older.refuses(421, "misdirected");
    });
}

#[test]
fn a_server_that_other_machines_reach_answers_to_every_host_that_is_one() {
    play(|| async {
        let scene = Scene::new().await;
        let address = scene.at("0.0.0.0:0", Options::default()).await;
        let ask = async |hosts: &[(&str, &str)]| {
            let reached = (std::net::Ipv4Addr::LOCALHOST, address.port()).into();
            raw::bytes(reached, &raw::of_host("GET", "/livez", hosts, b"")).await
        };
        assert_eq!(ask(&[("Host", "runs.internal:3000")]).await.status, 200);
        ask(&[]).await.refuses(400, "malformed");
        ask(&[("Host", "a"), ("Host", "a")]).await.refuses(400, "malformed");
    });
}
