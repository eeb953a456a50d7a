//! A client of the API that plants what it can in everything it sends.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use sprongus::core::run::lease::PREFIX as LEASE_TOKEN;

use super::Out;
use super::planted::{PHONE, PRIVATE, secrets};

/// An answer, unless it is of what was allowed: that is given back as it is.
fn refusal(out: &mut Out, place: String, answer: String) {
    if !answer.starts_with("HTTP/1.1 2") {
        out.add(place, answer);
    }
}

pub struct Client {
    pub url: String,
    pub token: String,
}

fn percent(text: &str) -> String {
    text.bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            },
        )
        .collect()
}

impl Client {
    /// Asks with these lines of a head, and gives the whole answer.
    fn ask(&self, first: &str, head: &[String], body: &str) -> String {
        let mut stream = TcpStream::connect(self.url.strip_prefix("http://").unwrap()).unwrap();
        let lines: String = head.iter().map(|line| format!("{line}\r\n")).collect();
        let request = format!(
            "{first} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{lines}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // A refusal may come before everything was sent.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn allowed(&self) -> [String; 2] {
        [format!("authorization: Bearer {}", self.token), "content-type: application/json".to_owned()]
    }

    fn post(&self, path: &str, body: &Value) -> String {
        self.ask(&format!("POST {path}"), &self.allowed(), &body.to_string())
    }

    pub fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path}"), &self.allowed(), "")
    }

    fn document(answer: &str) -> Value {
        let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
        serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
    }

    /// A run whose input names secrets, as it should.
    pub fn enqueue_by_reference(&self, kind: &str) -> String {
        let input = json!({"hook": "secret://env/HOOK_PASSWORD", "pin": "secret://file/pin"});
        let answer = self.post("/v1/runs", &json!({"kind": kind, "input": input}));
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
        Self::document(&answer)["id"].as_str().unwrap().to_owned()
    }

    pub fn is_over(&self, id: &str) -> bool {
        let run = Self::document(&self.get(&format!("/v1/runs/{id}")));
        ["succeeded", "failed"].contains(&run["state"].as_str().unwrap())
    }

    /// What is allowed, then everything that is refused. Only refusals are collected: what is allowed is given back as it is.
    pub fn plant(&self, out: &mut Out) {
        let mail = format!("jane.{PRIVATE}@example.org");
        for number in 0..3 {
            let mut head = self.allowed().to_vec();
            head.push(format!("idempotency-key: {PRIVATE}-{number}"));
            head.push(format!("baggage: user={mail}"));
            head.push("traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned());
            head.push(format!("user-agent: {PRIVATE}"));
            let input = json!({"to": mail, "phone": format!("+1 {PHONE}"), PRIVATE: [PRIVATE]});
            let tags = json!({"note": PRIVATE});
            let body = json!({"kind": "held", "input": input, "tags": tags}).to_string();
            let answer = self.ask(&format!("POST /v1/runs?{PRIVATE}=1"), &head, &body);
            assert!(answer.starts_with("HTTP/1.1 201") || answer.starts_with("HTTP/1.1 422"), "{answer}");
        }
        let plain = self.post("/v1/runs", &json!({"kind": "held", "input": {"to": mail, "phone": PHONE}}));
        assert!(plain.starts_with("HTTP/1.1 201"), "{plain}");
        self.hold_and_tell(&mail, out);
        // To the client its own text is told, to the log it is not.
        for private in [PRIVATE, PHONE] {
            self.refused("what is private", private, out);
        }
        for (name, secret) in secrets() {
            self.refused(name, &secret, out);
            let named = self.post("/v1/runs", &json!({"kind": secret}));
            assert!(!named.starts_with("HTTP/1.1 201"), "{name} is a kind: {named}");
            out.add(format!("{name} as a kind"), named);
        }
    }

    /// Holds the run as a worker that masks nothing; its error is what everybody reads first.
    fn hold_and_tell(&self, mail: &str, out: &mut Out) {
        for (name, secret) in secrets() {
            self.post("/v1/runs", &json!({"kind": "told", "maxAttempts": 1, "input": {"to": mail}}));
            let worker = format!("w-{PRIVATE}");
            let claimed =
                self.post("/v1/runs:claim", &json!({"workerId": worker, "kinds": ["told"], "limit": 1}));
            let run = &Self::document(&claimed)["data"][0];
            let (id, epoch) = (run["id"].as_str().unwrap(), &run["lease"]["epoch"]);
            let token = run["lease"]["token"].as_str().unwrap();
            assert!(token.starts_with(LEASE_TOKEN), "what is searched for");
            let with = |mut body: Value| {
                body["workerId"] = json!(worker);
                body["epoch"] = epoch.clone();
                body["leaseToken"] = json!(token);
                body
            };
            let path = |verb: &str| format!("/v1/runs/{id}:{verb}");
            for (verb, body) in [
                ("progress", json!({"progress": 5, "message": PRIVATE})),
                ("log", json!({"lines": [{"stream": secret, "text": PRIVATE}]})),
                ("step", json!({"name": PRIVATE, "phase": secret, "type": "command", "status": "running"})),
                ("succeed", json!({"result": {secret.as_str(): 1}, "outputRef": "\u{1}"})),
            ] {
                let answer = self.post(&path(verb), &with(body));
                if !answer.starts_with("HTTP/1.1 200") {
                    out.add(format!("{name} in {verb}"), answer);
                }
            }
            let mut head = self.allowed().to_vec();
            head.push(format!("sprongus-lease-token: {token}"));
            let artifact = self.ask(
                &format!("PUT /v1/runs/{id}/artifacts/{}?workerId={worker}&epoch={epoch}", percent(&secret)),
                &head,
                PRIVATE,
            );
            out.add(format!("{name} as an artifact's name"), artifact);
            let failed = self.post(
                &path("fail"),
                &with(json!({"error": format!("it broke at {secret} of {mail}"), "retryable": false})),
            );
            assert!(failed.starts_with("HTTP/1.1 200"), "{failed}");
            out.add(format!("{name} in an error"), failed.replace(mail, ""));
            for part in ["", "/events"] {
                // The input is the client's own.
                out.add(format!("{name} in an error, {part}"), self.get(&format!("/v1/runs/{id}{part}")));
            }
            out.add(format!("{name} in an error, page"), self.page(&format!("/runs/{id}")));
        }
    }

    fn refused(&self, name: &str, secret: &str, out: &mut Out) {
        let body = |value: Value| value.to_string();
        let bodies = [
            ("input", body(json!({"kind": "a", "input": {"x": secret}}))),
            ("deep", body(json!({"kind": "a", "input": {"x": [{secret: {"y": secret}}]}}))),
            ("kind", body(json!({"kind": format!("{secret} "), "input": {}}))),
            ("project", body(json!({"kind": "a", "projectId": secret}))),
            ("agent task", body(json!({"kind": "a", "agentTaskId": secret}))),
            ("key", body(json!({"kind": "a", "idempotencyKey": format!("{secret}\u{1}")}))),
            ("tag", body(json!({"kind": "a", "tags": {secret: format!("{secret}\u{1}")}}))),
            ("time", body(json!({"kind": "a", "runAt": secret}))),
            ("number", body(json!({"kind": "a", "priority": secret}))),
            ("unknown field", body(json!({"kind": "a", secret: 1}))),
            ("bad JSON", format!("{{\"kind\": \"a\", \"{secret}\" {secret}")),
            ("twice", format!("{{\"kind\": \"a\", \"input\": {{\"{secret}\": 1, \"{secret}\": 2}}}}")),
            ("id", body(json!({"kind": "a", "id": secret}))),
        ];
        for (place, body) in &bodies {
            for path in ["/v1/runs", "/v1/runs?dry"] {
                refusal(
                    out,
                    format!("{name} as {place}"),
                    self.ask(&format!("POST {path}"), &self.allowed(), body),
                );
            }
            let batch = format!("{{\"runs\": [{body}]}}");
            refusal(
                out,
                format!("{name} as {place} of a batch"),
                self.ask("POST /v1/runs:batch", &self.allowed(), &batch),
            );
        }
        let coded = percent(secret);
        for path in [
            format!("/v1/runs/{coded}"),
            format!("/{coded}"),
            format!("/v1/runs?state={coded}"),
            format!("/v1/runs?cursor={coded}&projectId={coded}"),
            format!("/v1/runs?{coded}=1"),
            format!("/v1/runs?since={coded}"),
            format!("/v1/runs/{coded}/stream"),
            format!("/assets/{coded}"),
        ] {
            out.add(format!("{name} in {}", path.replace(&coded, "…")), self.get(&path));
            out.add(format!("{name} in page {}", path.replace(&coded, "…")), self.page(&path));
        }
        for header in [
            "authorization: Bearer",
            "authorization:",
            "cookie: session=",
            "accept:",
            "content-type:",
            "last-event-id:",
            "traceparent:",
        ] {
            let head = [format!("{header} {secret}"), format!("x-api-key: {secret}")];
            out.add(format!("{name} in {header}"), self.ask("GET /v1/runs", &head, ""));
            out.add(format!("{name} in {header} of a stream"), self.ask("GET /v1/nowhere", &head, ""));
        }
        let form = ["content-type: application/x-www-form-urlencoded".to_owned()];
        out.add(
            format!("{name} at the sign-in"),
            self.ask("POST /login", &form, &format!("token={coded}&next={coded}")),
        );
        let method = secret.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
        out.add(format!("{name} as a method"), self.ask(&format!("{method} /v1/runs"), &self.allowed(), ""));
        let wide = json!({"workerId": secret, "kinds": [secret], "limit": 1, "claimId": secret});
        out.add(format!("{name} as a worker"), self.post("/v1/runs:claim", &wide));
        let named = json!({"name": format!("{secret}\u{1}"), "scopes": [secret]});
        out.add(format!("{name} in a token"), self.post("/v1/tokens", &named));
    }

    fn page(&self, path: &str) -> String {
        let head = ["accept: text/html".to_owned(), format!("cookie: {}", self.session())];
        self.ask(&format!("GET {path}"), &head, "")
    }

    fn session(&self) -> String {
        let form = ["content-type: application/x-www-form-urlencoded".to_owned()];
        let answer = self.ask("POST /login", &form, &format!("token={}", self.token));
        let cookie = answer
            .lines()
            .find_map(|line| line.strip_prefix("set-cookie: "))
            .unwrap_or_else(|| panic!("{answer}"));
        cookie.split(';').next().unwrap().to_owned()
    }

    /// The screens of the dashboard.
    pub fn look_at_pages(&self, runs: &[String], out: &mut Out) {
        for id in runs {
            out.add("a run's page", self.page(&format!("/runs/{id}")));
            out.add("a run's log", self.page(&format!("/runs/{id}/log")));
        }
        for path in ["/workers", "/tokens", "/login"] {
            out.add(path, self.page(path));
        }
    }
}
