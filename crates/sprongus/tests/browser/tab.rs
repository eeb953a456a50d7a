//! A page in a window of its own, with cookies of its own: what it shows, and what it complains of. `hand.rs` clicks and types.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::{Value, json};

use crate::chromium::Chromium;

/// How long anything may take to be seen: the server is unoptimised, and shares two cores with everything else.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub name: &'static str,
    pub width: u32,
    pub height: u32,
    pub is_phone: bool,
    pub scheme: &'static str,
}

const fn look(name: &'static str, is_phone: bool, scheme: &'static str) -> Look {
    let (width, height) = if is_phone { (390, 844) } else { (1280, 900) };
    Look { name, width, height, is_phone, scheme }
}

pub const LIGHT: Look = look("light", false, "light");
pub const DARK: Look = look("dark", false, "dark");
pub const PHONE_LIGHT: Look = look("phone-light", true, "light");
pub const PHONE_DARK: Look = look("phone-dark", true, "dark");

/// What a page does that no page of ours may do.
#[derive(Default)]
struct Noted {
    complaints: Vec<String>,
    /// Addresses that it asked.
    asked: Vec<String>,
}

pub struct Tab {
    browser: Arc<Chromium>,
    context: String,
    session: String,
    noted: Arc<Mutex<Noted>>,
}

impl Tab {
    /// An empty one.
    pub fn open() -> Self {
        Self::open_in(Chromium::shared())
    }

    pub fn open_in(browser: Arc<Chromium>) -> Self {
        let call = |method, params| browser.devtools.call(None, method, &params).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let context = text(&call("Target.createBrowserContext", json!({}))["browserContextId"]);
        let target = json!({"url": "about:blank", "browserContextId": context, "newWindow": true});
        let target = text(&call("Target.createTarget", target)["targetId"]);
        let session = call("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        let session = text(&session["sessionId"]);
        let noted = Arc::<Mutex<Noted>>::default();
        let note = Arc::clone(&noted);
        browser.devtools.listen(&session, Box::new(move |event, it| note.lock().unwrap().take(event, it)));
        let tab = Self { browser, context, session, noted };
        for domain in ["Page", "Runtime", "Log", "Network"] {
            tab.call(&format!("{domain}.enable"), json!({}));
        }
        // Several are open at once, and each believes that it is the one in front.
        tab.call("Emulation.setFocusEmulationEnabled", json!({"enabled": true}));
        tab.seen_as(LIGHT);
        // A page on its way in would have the next one called off.
        tab.until("document.readyState === 'complete'");
        tab
    }

    /// Calls a method of the protocol.
    #[track_caller]
    pub fn call(&self, method: &str, params: Value) -> Value {
        self.browser.devtools.call(Some(&self.session), method, &params).unwrap()
    }

    /// Gives it a size and a colour scheme.
    pub fn seen_as(&self, look: Look) {
        let size = json!({"width": look.width, "height": look.height, "deviceScaleFactor": 1, "mobile": look.is_phone});
        self.call("Emulation.setDeviceMetricsOverride", size);
        let scheme = json!({"features": [{"name": "prefers-color-scheme", "value": look.scheme}, {"name": "prefers-reduced-motion", "value": "reduce"}]});
        self.call("Emulation.setEmulatedMedia", scheme);
    }

    /// As a browser is that runs no scripts.
    pub fn runs_no_scripts(&self) {
        self.call("Emulation.setScriptExecutionDisabled", json!({"value": true}));
    }

    /// Opens an address, and waits until all of it is there.
    #[track_caller]
    pub fn goto(&self, url: &str) {
        let went = self.call("Page.navigate", json!({"url": url}));
        assert_eq!(went.get("errorText"), None, "{url}: {went}");
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// What an expression is; an error of it, as its text.
    pub fn tried(&self, expression: &str) -> Result<Value, String> {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.browser.devtools.call(Some(&self.session), "Runtime.evaluate", &params)?;
        match answer.get("exceptionDetails") {
            Some(thrown) => Err(format!("{expression}: {}", thrown["exception"]["description"])),
            None => Ok(answer["result"]["value"].clone()),
        }
    }

    #[track_caller]
    pub fn eval(&self, expression: &str) -> Value {
        self.tried(expression).unwrap()
    }

    /// Waits until an expression is true, over loads of the page if need be.
    #[track_caller]
    pub fn until(&self, expression: &str) {
        self.until_within(expression, PATIENCE);
    }

    #[track_caller]
    pub fn until_within(&self, expression: &str, limit: Duration) {
        let began = Instant::now();
        // An error is that of a page on its way out, or the last word on why it was never so.
        while self.tried(expression) != Ok(json!(true)) {
            assert!(
                began.elapsed() < limit,
                "not within {limit:?} on {:?}: {expression} ({:?}); it reads:\n{}",
                self.tried("location.href"),
                self.tried(expression),
                self.tried("document.body.innerText").unwrap_or_default().as_str().unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the page reads this somewhere.
    #[track_caller]
    pub fn until_reads(&self, text: &str) {
        self.until(&format!("document.body.innerText.includes({})", json!(text)));
    }

    pub fn reads(&self) -> String {
        self.eval("document.body.innerText").as_str().unwrap().to_owned()
    }

    pub fn path(&self) -> String {
        self.eval("location.pathname + location.search").as_str().unwrap().to_owned()
    }

    /// What it did since the last time that no page of ours may do: errors on the console, refusals of the content security policy,
    /// requests that lead away from `home`. That an error page is one, its own address aside, is no fault.
    pub fn complaints(&self, home: &str) -> Vec<String> {
        let Noted { mut complaints, asked } = std::mem::take(&mut *self.noted.lock().unwrap());
        let own = self.eval("location.href");
        complaints.retain(|it| {
            !(it.starts_with("network: ") && it.ends_with(&format!(" {}", own.as_str().unwrap())))
        });
        let is_away = |url: &&String| !url.starts_with(&format!("{home}/")) && !url.starts_with("data:");
        complaints.extend(asked.iter().filter(is_away).map(|url| format!("it asked {url}")));
        complaints
    }

    /// Forgets what was noted: a server that is gone, for one, is complained of with reason.
    pub fn forgives(&self) {
        std::mem::take(&mut *self.noted.lock().unwrap());
    }

    /// A picture of it: of what is in view, or of all of it.
    pub fn picture(&self, path: &Path, is_whole: bool) {
        let taken =
            self.call("Page.captureScreenshot", json!({"format": "png", "captureBeyondViewport": is_whole}));
        let bytes =
            base64::engine::general_purpose::STANDARD.decode(taken["data"].as_str().unwrap()).unwrap();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        self.browser.devtools.forget(&self.session);
        let context = json!({"browserContextId": self.context});
        // It may be the browser's end that ends the test.
        let _ = self.browser.devtools.call(None, "Target.disposeBrowserContext", &context);
    }
}

impl Noted {
    fn take(&mut self, event: &str, it: &Value) {
        match event {
            "Log.entryAdded" => {
                let entry = &it["entry"];
                let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
                if matches!(text("level").as_str(), "error" | "warning") {
                    self.complaints.push(format!("{}: {} {}", text("source"), text("text"), text("url")));
                }
            }
            "Runtime.exceptionThrown" => {
                self.complaints.push(format!("exception: {}", it["exceptionDetails"]));
            }
            "Runtime.consoleAPICalled" if it["type"] == "error" || it["type"] == "warning" => {
                self.complaints.push(format!("console: {}", it["args"]));
            }
            "Network.requestWillBeSent" => {
                self.asked.push(it["request"]["url"].as_str().unwrap_or_default().to_owned());
            }
            _ => {}
        }
    }
}
