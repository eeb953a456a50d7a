//! What every command is given: the options, what was found around the process, and where to print.

use std::path::PathBuf;

use sprongus_core::{Error, Result};
use sprongus_worker::declaration::{Declaration, DeclarationFault, find_upward};

use crate::cli::globals::Globals;
use crate::connect::{self, Access, Connection, Place, Target, Wish};
use crate::env::Environment;
use crate::env::trust;
use crate::render::screen::Screen;

/// One start of the command line.
pub struct App {
    /// The options that every command takes.
    pub globals: Globals,
    /// What was found around the process.
    pub around: Environment,
    /// Where to print.
    pub screen: Screen,
}

impl App {
    /// The database that the options name, if they name one.
    pub fn wish(&self) -> Wish {
        Wish { database: self.globals.db.clone(), remote: self.globals.remote.clone(), no_listen: false }
    }

    /// Goes where the command is to go.
    ///
    /// # Errors
    /// As [`connect::connect`].
    pub async fn connect(&self, access: Access) -> Result<Connection> {
        self.connect_by(&self.wish(), access).await
    }

    /// The same, with more said than the options that every command takes.
    ///
    /// # Errors
    /// As [`connect::connect`].
    pub async fn connect_by(&self, wish: &Wish, access: Access) -> Result<Connection> {
        let connection =
            connect::connect(wish, self.globals.workspace.as_deref(), &self.around, access).await?;
        let is_own = connection.place.why == connect::Why::User && matches!(access, Access::Creating);
        let is_other = connection.place.why == connect::Why::Variable("DATABASE_URL");
        if is_other || is_own || self.globals.verbose > 0 {
            let note = format!("using {}", connection.place);
            match access {
                Access::Serving | Access::Working => self.screen.note_now(&note),
                Access::Existing | Access::Creating => self.screen.note(&note),
            }
        }
        Ok(connection)
    }

    /// The nearest `sprongus.toml`. The command of a run stands in its work directory, which is none of the project's folders: it is
    /// told the project's folder.
    fn declaration_file(&self) -> Result<Option<PathBuf>> {
        if let Some(path) = trust::project(&self.around)? {
            return Ok(Some(path));
        }
        let folder = self.around.run.as_ref().and_then(|run| run.project_folder.as_deref());
        folder.and_then(find_upward).map(|path| trust::believed(path, &self.around)).transpose()
    }

    /// The nearest `sprongus.toml`, for those who need a few of its kinds: a fault in another kind does not stop them.
    ///
    /// # Errors
    /// `validation`, with file, line and column, for a fault outside of the kinds; `forbidden` as [`App::declaration`].
    pub fn usable_declaration(&self) -> Result<Option<Declaration>> {
        let Some(path) = self.declaration_file()? else { return Ok(None) };
        Declaration::load_usable(&path).map(Some).map_err(|fault| refused(&fault))
    }

    /// Says at the start of what runs on what makes a mistake worse than it has to be.
    pub fn warn(&self, place: &Place) {
        let database = match &place.target {
            Target::File(path) => Some(path.as_path()),
            Target::Postgres(_) | Target::Server(_) => None,
        };
        for warning in trust::warnings(database) {
            self.screen.note_now(&format!("warning: {warning}"));
        }
    }

    /// The nearest `sprongus.toml`, checked.
    ///
    /// # Errors
    /// `validation`, with file, line and column; `forbidden` when another user could have written it.
    pub fn declaration(&self) -> Result<Option<Declaration>> {
        let Some(path) = self.declaration_file()? else { return Ok(None) };
        let loaded = Declaration::load(&path);
        loaded.map(Some).map_err(|fault| refused(&fault))
    }
}

/// A fault in `sprongus.toml` as an error.
pub fn refused(fault: &DeclarationFault) -> Error {
    Error::validation(fault.to_string()).with_hint("fix the file; check it with `sprongus doctor`")
}
