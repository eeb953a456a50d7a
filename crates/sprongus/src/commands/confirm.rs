//! Questions before what cannot be taken back.

use std::io::{self, BufRead, IsTerminal};

use sprongus_core::{Error, Result};

use crate::app::App;

/// Asks, unless `yes` was said beforehand. Anything but y or yes means no.
///
/// # Errors
/// `validation` when there is nobody to ask.
pub fn ask(app: &App, question: &str, yes: bool) -> Result<bool> {
    if yes {
        return Ok(true);
    }
    let answer = read(app, &format!("{question} [y/N] "))?;
    Ok(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Asks for a name to be typed, unless `yes` was said beforehand.
///
/// # Errors
/// `validation` when there is nobody to ask.
pub fn ask_for_name(app: &App, question: &str, name: &str, yes: bool) -> Result<bool> {
    Ok(yes || read(app, &format!("{question} Type {name} to confirm: "))? == name)
}

fn read(app: &App, prompt: &str) -> Result<String> {
    if !io::stdin().is_terminal() {
        return Err(Error::validation("cannot ask for confirmation: stdin is not a terminal")
            .with_hint("use --yes to confirm"));
    }
    app.screen.side(prompt);
    let mut answer = String::new();
    // An answer that cannot be read is no answer, and that means no.
    let _ = io::stdin().lock().read_line(&mut answer);
    Ok(answer.trim().to_owned())
}
