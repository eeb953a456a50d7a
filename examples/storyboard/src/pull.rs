//! `pull`: a screenplay in, structured scenes out.
//!
//! Says which files are read and written and what is reported; how a screenplay is understood is `script`'s.

use std::path::Path;

use serde_json::json;

use crate::call::Call;
use crate::failure::Failure;
use crate::script::{self, Script};
use crate::{file, input, lock};

/// A feature film's screenplay is a quarter of a MiB.
const SCREENPLAY_LIMIT: u64 = 8 * 1024 * 1024;

/// What a result names one by one; the file has them all.
const NAMED: usize = 100;

/// A result is for a line on a screen, and a hostile name could be as long as its file.
const NAME_CHARS: usize = 200;

/// Runs the command.
pub(crate) fn run(mut call: Call) -> Result<(), Failure> {
    let input: input::Pull = input::parse(&call.input()?)?;
    let (path, out) = (call.path("path", &input.path)?, call.path("out", &input.out)?);
    call.progress(5)?;
    let text = read_unlocked(&path)?;
    call.progress(30)?;
    let script = understand(&path, &text)?;
    call.progress(70)?;
    store(&script, &out)?;
    call.progress(100)?;
    let characters: Vec<_> = script.characters.iter().take(NAMED).map(|name| brief(name)).collect();
    let title = script.title.as_deref().map(brief);
    call.finish(
        &json!({ "scenes": script.scenes.len(), "characters": characters, "title": title }),
        &out,
        &format!(
            "pulled {} scenes, {} characters from {}",
            script.scenes.len(),
            script.characters.len(),
            input.path
        ),
    )
}

/// Looks for the editor before and after, so that a save which began meanwhile is noticed too.
fn read_unlocked(path: &Path) -> Result<String, Failure> {
    lock::check(path)?;
    let bytes = file::read(path, SCREENPLAY_LIMIT)?;
    lock::check(path)?;
    file::text(path, bytes)
}

fn understand(path: &Path, text: &str) -> Result<Script, Failure> {
    let refuse = |what: &str| Failure::Refused(format!("{} is no screenplay: {what}", path.display()));
    let script = script::read(path, text);
    match script.scenes.len() {
        0 => Err(refuse("no scene headings found (INT. or EXT. in Fountain, ## in Markdown)")),
        n if n > script::MOST_SCENES => Err(refuse(&format!("more than {} scenes", script::MOST_SCENES))),
        _ => Ok(script),
    }
}

/// Leaves the file alone if it says the same already, and refuses to overwrite anything but scenes.
fn store(script: &Script, out: &Path) -> Result<(), Failure> {
    let scenes = script.to_json();
    if let Some(old) = file::read_if_there(out, script::SCENES_LIMIT)? {
        if old == scenes {
            return Ok(());
        }
        if !old.is_empty() && !script::is_ours(&old) {
            let out = out.display();
            return Err(Failure::Refused(format!("cannot write {out}: it holds something else than scenes")));
        }
    }
    file::replace(out, &scenes)
}

fn brief(name: &str) -> String {
    name.chars().take(NAME_CHARS).collect()
}
