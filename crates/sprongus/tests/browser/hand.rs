//! What a person does to a page: with a mouse, and with keys.

use serde_json::{Value, json};

use crate::tab::Tab;

/// Finds the first element that is to be seen, of a selector, whose text or label begins with this.
fn found(selector: &str, text: &str) -> String {
    format!(
        "[...document.querySelectorAll({})].find(it => it.checkVisibility({{visibilityProperty: true}}) && \
         (it.getAttribute('aria-label') ?? it.textContent).trim().startsWith({}))",
        json!(selector),
        json!(text)
    )
}

impl Tab {
    /// Whether there is such an element to be seen.
    pub fn shows(&self, selector: &str, text: &str) -> bool {
        self.eval(&format!("Boolean({})", found(selector, text))) == true
    }

    #[track_caller]
    pub fn until_shows(&self, selector: &str, text: &str) {
        self.until(&format!("Boolean({})", found(selector, text)));
    }

    /// Clicks in the middle of it, where it must lie uncovered.
    #[track_caller]
    pub fn click(&self, selector: &str, text: &str) {
        self.until_shows(selector, text);
        let place = self.eval(&format!(
            "(() => {{ const it = {}; it.scrollIntoView({{block: 'center', behavior: 'instant'}}); const box = it.getBoundingClientRect(); \
             const [x, y] = [box.left + box.width / 2, box.top + box.height / 2]; const hit = document.elementFromPoint(x, y); \
             return [x, y, it.contains(hit) || hit?.contains(it)]; }})()",
            found(selector, text)
        ));
        assert_eq!(place[2], true, "{selector} {text} is covered");
        for kind in ["mousePressed", "mouseReleased"] {
            let event =
                json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// The same, of what leads to another page, and waits for it.
    #[track_caller]
    pub fn follow(&self, selector: &str, text: &str) {
        self.leaving(|| self.click(selector, text));
    }

    /// Waits for the page that something leads to.
    #[track_caller]
    pub fn leaving(&self, act: impl FnOnce()) {
        self.eval("globalThis.isLeft = true");
        act();
        self.until("!globalThis.isLeft && document.readyState === 'complete'");
    }

    /// Puts text where it belongs, as if typed.
    #[track_caller]
    pub fn fill(&self, selector: &str, text: &str) {
        let focused = format!(
            "(() => {{ const it = document.querySelector({}); it.focus(); it.select(); return document.activeElement === it; }})()",
            json!(selector)
        );
        assert_eq!(self.eval(&focused), true, "{selector} takes no focus");
        self.call("Input.insertText", json!({"text": text}));
    }

    /// Presses and releases a key.
    pub fn key(&self, key: &str) {
        self.key_with(key, 0);
    }

    /// The same, with Shift held.
    pub fn shift_key(&self, key: &str) {
        self.key_with(key, 8);
    }

    fn key_with(&self, key: &str, modifiers: u32) {
        let (code, number, text) = match key {
            "Tab" => ("Tab", 9, ""),
            "Enter" => ("Enter", 13, "\r"),
            "Escape" => ("Escape", 27, ""),
            " " => ("Space", 32, " "),
            "/" => ("Slash", 191, "/"),
            other => panic!("no key {other}"),
        };
        let mut event = json!({"type": "keyDown", "key": key, "code": code, "windowsVirtualKeyCode": number, "modifiers": modifiers});
        if !text.is_empty() {
            event["text"] = json!(text);
        }
        self.call("Input.dispatchKeyEvent", event.clone());
        event["type"] = json!("keyUp");
        event.as_object_mut().unwrap().remove("text");
        self.call("Input.dispatchKeyEvent", event);
    }

    /// What holds the focus: a word for it, and whether it shows that it does.
    pub fn focused(&self) -> (String, bool) {
        let state: Value = self.eval(
            "(() => { const it = document.activeElement, style = getComputedStyle(it); \
             return [it === document.body ? '' : `${it.localName} ${(it.getAttribute('aria-label') ?? (it.id || it.textContent)).trim()}`, \
             it.matches(':focus-visible') && style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1]; })()",
        );
        (state[0].as_str().unwrap().to_owned(), state[1] == true)
    }
}
