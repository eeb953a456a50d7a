//! The proxies of `docs/proxies.md`, with the page's own configurations: what a client and a browser do through each.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::backing::Served;
use crate::sandbox::{Done, Sandbox, finished};

const HOST: &str = "runs.example";

/// A port that nobody listens on now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The page's block of a language.
fn block(language: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/proxies.md");
    let page = std::fs::read_to_string(path).unwrap();
    let block = page.split(&format!("\n```{language}\n")).nth(1).expect("a block").split("\n```").next();
    format!("{}\n", block.unwrap())
}

/// A server, and a proxy in front of it.
struct Scene {
    sandbox: Sandbox,
    _served: Served,
    proxy: Child,
    port: u16,
    token: String,
}

impl Drop for Scene {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.proxy.kill();
        let _ = self.proxy.wait();
    }
}

impl Scene {
    /// The configuration is the page's; only where things are is changed.
    fn new(language: &str, start: impl FnOnce(&Path, &str) -> Command) -> Self {
        let sandbox = Sandbox::new();
        let port = free_port();
        let file = sandbox.file().display().to_string();
        let public = format!("https://{HOST}:{port}");
        let words = ["-q", "serve", "--listen", "127.0.0.1:0", "--db", &file, "--public-url", &public];
        let served = Served::start(sandbox.command(&words).stderr(Stdio::null()));
        let token = std::fs::read_to_string(format!("{file}.token")).unwrap().trim().to_owned();
        let key = rcgen::generate_simple_self_signed([HOST.to_owned(), "localhost".to_owned()]).unwrap();
        let (certificate, key) = (key.cert.pem(), key.signing_key.serialize_pem());
        sandbox.write("runs.example.pem", &certificate);
        sandbox.write("runs.example.key", &key);
        sandbox.write("runs.example.both.pem", format!("{certificate}{key}"));
        let behind = served.url.strip_prefix("http://").unwrap();
        let folder = sandbox.path().display().to_string();
        let here = format!("127.0.0.1:{port} ssl");
        let mut text = block(language).replace("listen 443 ssl", &format!("listen {here}"));
        for (of_the_page, of_here) in [
            ("bind :443 ssl", format!("bind {here}")),
            ("runs.example {", format!("runs.example:{port} {{")),
            ("127.0.0.1:3000", behind.to_owned()),
            ("/etc/ssl", folder),
        ] {
            text = text.replace(of_the_page, &of_here);
        }
        let mut command = start(sandbox.path(), &text);
        let mut proxy =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap_or_else(
                |error| panic!("{language}: {error}; ./test installs nginx-light, caddy and haproxy"),
            );
        // Nobody reads what it says, and it must not wait for a reader.
        let said = proxy.stderr.take().unwrap();
        let reader = std::thread::spawn(move || {
            BufReader::new(said).lines().map_while(Result::ok).for_each(|line| eprintln!("{line}"));
        });
        drop(reader);
        let scene = Self { sandbox, _served: served, proxy, port, token };
        let began = Instant::now();
        while scene.curl(&["-o", "/dev/null", "-w", "%{http_code}"], "/readyz").out != "200" {
            assert!(began.elapsed() < Duration::from_secs(30), "{language} does not answer");
            std::thread::sleep(Duration::from_millis(100));
        }
        scene
    }

    fn command(&self, words: &[&str], path: &str) -> Command {
        let mut command = Command::new("curl");
        command.args([
            "-sS",
            "--http1.1",
            "--max-time",
            "60",
            "--resolve",
            &format!("{HOST}:{}:127.0.0.1", self.port),
        ]);
        command.arg("--cacert").arg(self.sandbox.path().join("runs.example.pem"));
        command.args(words).arg(format!("https://{HOST}:{}{path}", self.port));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn curl(&self, words: &[&str], path: &str) -> Done {
        finished(self.command(words, path).spawn().unwrap())
    }

    /// The answer of the API, and its status.
    fn asked(&self, words: &[&str], path: &str) -> (String, Value) {
        let bearer = format!("Authorization: Bearer {}", self.token);
        let mut all = vec!["-w", "\n%{http_code}", "-H", &bearer];
        all.extend_from_slice(words);
        let out = self.curl(&all, path).exits(0).out;
        let (body, status) = out.rsplit_once('\n').unwrap();
        (status.to_owned(), serde_json::from_str(body).unwrap_or(Value::Null))
    }

    fn posted(&self, path: &str, body: &Value) -> (String, Value) {
        let file = self.sandbox.write("body.json", body.to_string());
        let data = format!("@{}", file.display());
        self.asked(&["-H", "Content-Type: application/json", "--data-binary", &data], path)
    }

    /// Commands go to a server whose authority they know and whose name is the one they asked for, and to no other.
    fn has_its_certificate_checked(&self) {
        let known = self.sandbox.path().join("runs.example.pem");
        for (host, authorities, code) in
            [("localhost", None, 8), ("127.0.0.1", Some(&known), 8), ("localhost", Some(&known), 0)]
        {
            let url = format!("https://{host}:{}", self.port);
            let mut command = self.sandbox.command(&["--remote", &url, "runs", "list"]);
            command.env("SPRONGUS_TOKEN", &self.token);
            command.envs(authorities.map(|file| ("SSL_CERT_FILE", file)));
            let done = finished(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
            assert_eq!(
                (done.code, done.err.contains("TLS failed with")),
                (Some(code), code == 8),
                "{host}: {}",
                done.err
            );
        }
    }

    /// Everything that a proxy may get wrong.
    fn holds(&self) {
        self.large_bodies_pass();
        self.streams_are_not_kept_back();
        self.waiting_calls_wait();
        self.a_browser_signs_in();
        let status = self.curl(&["-o", "/dev/null", "-w", "%{http_code}"], "/metrics").exits(0).out;
        assert_eq!(status, "401", "metrics through a proxy need a token");
    }

    fn large_bodies_pass(&self) {
        let text = "x".repeat(100_000);
        let runs: Vec<Value> =
            (0..30).map(|n| json!({"kind": "large", "input": {"n": n, "text": text}})).collect();
        let (status, made) = self.posted("/v1/runs:batch", &json!({"runs": runs}));
        assert_eq!((status.as_str(), made["data"].as_array().map(Vec::len)), ("201", Some(30)));
        let claim = json!({"workerId": "w", "limit": 1, "kinds": ["large"]});
        let (_, claimed) = self.posted("/v1/runs:claim", &claim);
        let run = &claimed["data"][0];
        let id = run["id"].as_str().unwrap();
        let file = self.sandbox.write("artifact", vec![7_u8; 5 << 20]);
        let hold = format!("Sprongus-Lease-Token: {}", run["lease"]["token"].as_str().unwrap_or("none"));
        let path = format!("/v1/runs/{id}/artifacts/large?workerId=w&epoch={}", run["lease"]["epoch"]);
        let (status, body) = self.asked(&["-H", &hold, "-T", file.to_str().unwrap()], &path);
        assert_eq!((status.as_str(), &body["size"]), ("201", &json!(5 << 20)), "{body}");
        let back = self.sandbox.path().join("back");
        let (status, _) =
            self.asked(&["-o", back.to_str().unwrap()], &format!("/v1/runs/{id}/artifacts/large"));
        assert_eq!(status, "200");
        assert_eq!(std::fs::read(back).unwrap(), vec![7_u8; 5 << 20]);
    }

    fn streams_are_not_kept_back(&self) {
        let bearer = format!("Authorization: Bearer {}", self.token);
        let mut stream = self.command(&["-N", "-H", &bearer], "/v1/stream").spawn().unwrap();
        let mut lines = BufReader::new(stream.stdout.take().unwrap()).lines();
        // What comes first is there before anything has happened.
        let first = lines.next().unwrap().unwrap();
        assert!(first.starts_with("retry:") || first.starts_with("id:"), "{first}");
        self.posted("/v1/runs", &json!({"kind": "told"}));
        let heard =
            lines.map_while(Result::ok).find(|line| line.contains("run.enqueued") && line.contains("told"));
        assert!(heard.is_some(), "the event came before the stream was closed");
        stream.kill().unwrap();
        stream.wait().unwrap();
    }

    fn waiting_calls_wait(&self) {
        let claim = json!({"workerId": "w", "limit": 1, "kinds": ["nobodys"], "waitMs": 2_000});
        let began = Instant::now();
        let (status, claimed) = self.posted("/v1/runs:claim", &claim);
        assert_eq!((status.as_str(), &claimed["data"]), ("200", &json!([])));
        assert!(began.elapsed() >= Duration::from_millis(1_900));
    }

    fn a_browser_signs_in(&self) {
        let origin = format!("Origin: https://{HOST}:{}", self.port);
        let jar = self.sandbox.path().join("jar");
        let jar = jar.to_str().unwrap();
        let form = self.sandbox.write("form", format!("token={}", self.token));
        let form = format!("@{}", form.display());
        let words = ["-c", jar, "-H", &origin, "--data", &form, "-o", "/dev/null", "-w", "%{http_code}"];
        assert_eq!(self.curl(&words, "/login").exits(0).out, "303");
        let kept = std::fs::read_to_string(jar).unwrap();
        assert!(kept.contains(&format!("__Host-sprongus_session_{}", self.port)), "{kept}");
        let page = self.curl(&["-b", jar], "/runs").exits(0).out;
        assert!(page.contains("large") && page.contains("Sign out"), "{page}");
        let elsewhere =
            ["-H", "Origin: https://evil.example", "--data", &form, "-o", "/dev/null", "-w", "%{http_code}"];
        assert_eq!(self.curl(&elsewhere, "/login").exits(0).out, "403");
    }
}

fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn nginx_does_as_the_page_says() {
    let scene = Scene::new("nginx", |folder, text| {
        let at = folder.display();
        let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let paths: String = paths.iter().map(|name| format!("{name}_temp_path {at}/{name};\n")).collect();
        let whole = format!(
            "daemon off;\npid {at}/nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{paths}{text}}}\n"
        );
        let config = written(folder, "nginx.conf", &whole);
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-p").arg(folder).arg("-e").arg("stderr").arg("-c").arg(config);
        command
    });
    scene.holds();
}

#[test]
fn caddy_does_as_the_page_says() {
    let scene = Scene::new("caddy", |folder, text| {
        // Nothing listens beside the site: other tests have ports, too.
        let whole = format!("{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{text}");
        let config = written(folder, "Caddyfile", &whole);
        let mut command = Command::new("caddy");
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(config);
        command
            .env("HOME", folder)
            .env("XDG_DATA_HOME", folder.join("caddy"))
            .env("XDG_CONFIG_HOME", folder.join("caddy"));
        command
    });
    scene.holds();
}

#[test]
fn haproxy_does_as_the_page_says() {
    let scene = Scene::new("haproxy", |folder, text| {
        let config = written(folder, "haproxy.cfg", text);
        let mut command = Command::new("/usr/sbin/haproxy");
        command.arg("-db").arg("-f").arg(config);
        command
    });
    scene.holds();
    scene.has_its_certificate_checked();
}
