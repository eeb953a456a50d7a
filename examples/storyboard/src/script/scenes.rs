//! Makes scenes of a stream of elements.
//!
//! What stands before the first heading (a `FADE IN:`, an epigraph) belongs to no scene and is left out.

use std::collections::HashSet;

use super::identity::Identities;
use super::manuscript::{Element, Manuscript, speaker};
use super::{FORMAT, MOST_SCENES, Scene, Script, heading, length};

/// Sections are copied into every scene below them, so a hostile one must not be long.
const SECTION_CHARS: usize = 120;

/// Gathers the scenes; stops one past [`MOST_SCENES`], which the caller refuses.
pub(crate) fn gather(manuscript: Manuscript) -> Script {
    let title_page = manuscript.title_page;
    let title = title_page.get("title").map(|title| one_line(title)).filter(|title| !title.is_empty());
    let mut gathering = Gathering::default();
    for element in manuscript.elements {
        gathering.take(element);
        if gathering.scenes.len() > MOST_SCENES {
            break;
        }
    }
    gathering.close();
    Script {
        format: FORMAT.to_owned(),
        title,
        title_page,
        characters: gathering.cast.names,
        eighths: gathering.scenes.iter().map(|scene| scene.eighths).sum(),
        scenes: gathering.scenes,
    }
}

#[derive(Default)]
struct Gathering {
    scenes: Vec<Scene>,
    ids: Identities,
    cast: Cast,
    sections: Vec<(usize, String)>,
    /// Of the scene being gathered.
    present: Cast,
    lines: usize,
}

impl Gathering {
    fn take(&mut self, element: Element) {
        if let Element::Heading { .. } = element {
            self.close();
        }
        self.lines += length::lines(&element);
        match element {
            Element::Heading { text, number } => self.open(text, number),
            Element::Section { depth, text } => {
                self.sections.retain(|(above, _)| *above < depth);
                self.sections.push((depth, text.chars().take(SECTION_CHARS).collect()));
            }
            Element::Cue(cue) => {
                let name = speaker(&cue);
                if !self.scenes.is_empty() && !name.is_empty() {
                    self.cast.add(&name);
                    self.present.add(&name);
                }
            }
            Element::Action(text) | Element::Centered(text) => {
                self.edit(|scene| scene.action.push(text));
            }
            Element::Dialogue(_) | Element::Lyric(_) => self.edit(|scene| scene.dialogue_lines += 1),
            Element::Synopsis(text) => self.edit(|scene| match &mut scene.synopsis {
                Some(synopsis) => {
                    synopsis.push(' ');
                    synopsis.push_str(&text);
                }
                None => scene.synopsis = Some(text),
            }),
            Element::Note(text) => self.edit(|scene| scene.notes.push(text)),
            Element::Parenthetical(_) | Element::Transition(_) | Element::PageBreak => {}
        }
    }

    fn open(&mut self, text: String, number: Option<String>) {
        let place = heading::place(&text);
        let section: Vec<&str> = self.sections.iter().map(|(_, text)| text.as_str()).collect();
        self.scenes.push(Scene {
            id: self.ids.of(number.as_deref(), &text),
            number,
            heading: text,
            setting: place.setting,
            location: place.location,
            time_of_day: place.time_of_day,
            section: Some(section.join(" / ")).filter(|section| !section.is_empty()),
            synopsis: None,
            action: Vec::new(),
            characters: Vec::new(),
            dialogue_lines: 0,
            notes: Vec::new(),
            eighths: 0,
        });
    }

    fn close(&mut self) {
        let (lines, present) = (std::mem::take(&mut self.lines), std::mem::take(&mut self.present));
        self.edit(|scene| {
            scene.eighths = length::eighths(lines);
            scene.characters = present.names;
        });
    }

    fn edit(&mut self, change: impl FnOnce(&mut Scene)) {
        if let Some(scene) = self.scenes.last_mut() {
            change(scene);
        }
    }
}

/// Names in the order of their first cue.
#[derive(Default)]
struct Cast {
    names: Vec<String>,
    known: HashSet<String>,
}

impl Cast {
    fn add(&mut self, name: &str) {
        if self.known.insert(name.to_owned()) {
            self.names.push(name.to_owned());
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
