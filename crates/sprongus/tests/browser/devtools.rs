//! The DevTools protocol: JSON messages with a NUL behind each. A call waits for its answer; events go to the session they are of.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{ChildStdin, ChildStdout};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

/// How long the browser may take for one call: two cores have more to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is done with the events of a session.
pub type Listener = Box<dyn Fn(&str, &Value) + Send>;

/// Who waits for what.
#[derive(Default)]
struct Expected {
    answers: HashMap<u64, Sender<Result<Value, String>>>,
    listeners: HashMap<String, Listener>,
}

/// The connection to a browser.
pub struct Devtools {
    to: Mutex<ChildStdin>,
    calls: AtomicU64,
    expected: Arc<Mutex<Expected>>,
}

impl Devtools {
    /// Over the browser's ends of two pipes.
    pub fn new(to: ChildStdin, from: ChildStdout) -> Self {
        let expected = Arc::<Mutex<Expected>>::default();
        let reader = Arc::clone(&expected);
        std::thread::spawn(move || {
            for message in BufReader::new(from).split(0) {
                let Ok(message) = message else { break };
                deliver(&reader, &serde_json::from_slice(&message).expect("the browser speaks JSON"));
            }
            // Nobody answers any more: whoever waits is told so by a sender that is gone.
            reader.lock().unwrap().answers.clear();
        });
        Self { to: Mutex::new(to), calls: AtomicU64::new(1), expected }
    }

    /// Calls a method, of a session or of the browser.
    ///
    /// # Errors
    /// What the browser says is wrong, or that it says nothing.
    pub fn call(&self, session: Option<&str>, method: &str, params: &Value) -> Result<Value, String> {
        let id = self.calls.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = channel();
        self.expected.lock().unwrap().answers.insert(id, sender);
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        let written = self.to.lock().unwrap().write_all(&bytes);
        written.map_err(|error| format!("{method}: the browser is gone: {error}"))?;
        answer
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|error| Err(format!("no answer: {error}")))
            .map_err(|error| format!("{method}: {error}"))
    }

    /// Has a session's events heard.
    pub fn listen(&self, session: &str, listener: Listener) {
        self.expected.lock().unwrap().listeners.insert(session.to_owned(), listener);
    }

    /// Has them heard no more.
    pub fn forget(&self, session: &str) {
        self.expected.lock().unwrap().listeners.remove(session);
    }
}

fn deliver(expected: &Mutex<Expected>, message: &Value) {
    let mut expected = expected.lock().unwrap();
    if let Some(id) = message["id"].as_u64() {
        let error = message["error"]["message"].as_str();
        let answer = error.map_or_else(|| Ok(message["result"].clone()), |error| Err(error.to_owned()));
        if let Some(waiting) = expected.answers.remove(&id) {
            // It may have given up.
            let _ = waiting.send(answer);
        }
    } else if let Some(listener) = message["sessionId"].as_str().and_then(|it| expected.listeners.get(it)) {
        listener(message["method"].as_str().unwrap_or_default(), &message["params"]);
    }
}
