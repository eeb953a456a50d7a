//! Settings: what a workspace is told to do on its own, kept in its database so that every server and worker obeys the same.
//!
//! A store keeps a setting as it is given, under its family and id, and finds those that are due. What a setting means is known to its
//! family alone ([`crate::schedule`]), so a new family needs no new table.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::json::Json;
use crate::values::names::WorkspaceId;
use crate::values::time::Timestamp;

/// What a setting is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// When runs are made ([`crate::schedule`]).
    Schedule,
}

impl Family {
    /// Its name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

impl FromStr for Family {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "schedule" => Ok(Self::Schedule),
            _ => Err(Error::validation("not a family of settings")),
        }
    }
}

/// Who owns a setting: whoever made it decides whether `sprongus apply --prune` may delete it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ManagedBy {
    /// A `sprongus.toml`, by `sprongus apply`.
    File,
    /// A person or a program, by the command line or the API.
    Api,
}

impl ManagedBy {
    /// Its name on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Api => "api",
        }
    }
}

impl FromStr for ManagedBy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "file" => Ok(Self::File),
            "api" => Ok(Self::Api),
            _ => Err(Error::validation("a setting is managed by `file` or `api`")),
        }
    }
}

/// A setting as a store keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// What it is about.
    pub family: Family,
    /// Its name, unique in its family and workspace: 1 to 64 lower-case letters, digits and hyphens.
    pub id: String,
    /// The tenant.
    pub workspace_id: WorkspaceId,
    /// Counts its definitions, from 1.
    pub revision: u32,
    /// Who owns it.
    pub managed_by: ManagedBy,
    /// What was asked for, whole, in its family's form.
    pub definition: Json,
    /// What the file asked for when it was applied last; none where no file made it. It differs from the definition where a person has
    /// changed it since.
    pub applied: Option<Json>,
    /// How far its family has got with it, in its family's form.
    pub progress: Json,
    /// When there is something to do about it; none for never.
    pub due_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its definition last changed.
    pub updated_at: Timestamp,
}

impl Setting {
    /// Whether a file made it and a person has changed it since.
    pub fn is_drifted(&self) -> bool {
        self.applied.as_ref().is_some_and(|applied| *applied != self.definition)
    }
}

/// What becomes of a setting.
#[derive(Clone, Debug, PartialEq)]
pub enum SettingWrite {
    /// It is created, or takes the place of the one of its family and id.
    Put(Box<Setting>),
    /// It is deleted.
    Delete(Family, String),
}
