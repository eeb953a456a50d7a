//! What cannot be undone is asked about first, on a page of its own.

use askama::Template;

use crate::server::dashboard::layout::{Section, layout};
use crate::server::dashboard::page::PageResult;
use crate::server::dashboard::parts::html::render;
use crate::server::dashboard::session::Viewer;

#[derive(Template)]
#[template(path = "question.html")]
struct Form<'a> {
    question: &'a Question,
    form_token: &'a str,
}

/// What is asked before something is done.
pub struct Question {
    /// The question, which is the page's title.
    pub title: &'static str,
    /// The runs, the worker or the token in question, each with a remark; the remark may be empty.
    pub about: Vec<(String, String)>,
    /// What happens on yes.
    pub text: &'static str,
    /// The path that yes is posted to.
    pub action: String,
    /// What the button of yes says.
    pub button: &'static str,
    /// Whether it ends something, so that the button is red.
    pub is_dangerous: bool,
    /// The path that no leads to.
    pub back: String,
    /// Fields that yes posts, beside the form's token.
    pub fields: Vec<(&'static str, String)>,
}

impl Question {
    /// The page that asks.
    ///
    /// # Errors
    /// `internal`.
    pub fn ask(&self, viewer: &Viewer, section: Section) -> PageResult {
        let main = render(&Form { question: self, form_token: &viewer.form_token })?;
        Ok(layout(viewer, section, self.title, None, &main)?)
    }
}
