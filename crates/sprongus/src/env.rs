//! What the process finds around itself: environment variables, the folder it stands in, who it runs for. Read in one place, so
//! that choosing a database can be tested without an environment.

pub mod address;
pub mod credential;
pub mod file;
pub mod trust;

use std::env;
use std::fmt;
use std::path::PathBuf;

use etcetera::BaseStrategy;
use sprongus_core::Result;
use sprongus_core::values::text::excerpt;

use address::Address;

/// A text that `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Hidden(…)")
    }
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// The folder the command was started in.
    pub folder: PathBuf,
    /// `SPRONGUS_API_URL`.
    pub api_url: Option<String>,
    /// `SPRONGUS_TOKEN`, or what `SPRONGUS_TOKEN_FILE` names. It is never shown.
    pub token: Option<Hidden>,
    /// `SPRONGUS_DATABASE_URL`, or what `SPRONGUS_DATABASE_URL_FILE` names.
    pub database_url: Option<Address>,
    /// `DATABASE_URL`, which may well be another program's.
    pub other_database_url: Option<Address>,
    /// `SPRONGUS_ARTIFACTS`: where artifacts are kept.
    pub artifacts: Option<Hidden>,
    /// `SPRONGUS_POSTGRES_DURABILITY`: what a Postgres server must promise.
    pub postgres_durability: Option<String>,
    /// `SPRONGUS_TRUST`: a folder whose `sprongus.toml` is believed, whoever could have written it.
    pub trusted: Option<PathBuf>,
    /// Where the user's programs keep their settings.
    pub config_folder: Option<PathBuf>,
    /// Where the user's programs keep their data.
    pub data_folder: Option<PathBuf>,
    /// The run whose command this is.
    pub run: Option<InsideRun>,
    /// Who acts.
    pub user: String,
}

/// What a worker tells a command of a run.
#[derive(Clone, Debug, Default)]
pub struct InsideRun {
    /// `SPRONGUS_OUTPUT`: the file by which it is told something.
    pub output: Option<PathBuf>,
    /// `SPRONGUS_PROJECT_DIR`: the folder of the `sprongus.toml` that declares it.
    pub project_folder: Option<PathBuf>,
}

impl Environment {
    /// Reads it all.
    ///
    /// # Errors
    /// `validation` for a credential that is named by a file and cannot be read.
    pub fn read() -> Result<Self> {
        let base = etcetera::base_strategy::Xdg::new().ok();
        let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
        Ok(Self {
            folder: env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            api_url: variable("SPRONGUS_API_URL"),
            token: credential::find("SPRONGUS_TOKEN", "sprongus-token")?.map(Hidden),
            database_url: credential::find("SPRONGUS_DATABASE_URL", "sprongus-database-url")?
                .map(Address::from),
            other_database_url: variable("DATABASE_URL").map(Address::from),
            artifacts: variable("SPRONGUS_ARTIFACTS").map(Hidden),
            postgres_durability: variable("SPRONGUS_POSTGRES_DURABILITY"),
            trusted: variable("SPRONGUS_TRUST").map(PathBuf::from),
            config_folder: base.as_ref().map(|base| base.config_dir()),
            data_folder: base.as_ref().map(|base| base.data_dir()),
            run: variable("SPRONGUS_RUN_ID").map(|_| InsideRun {
                output: variable("SPRONGUS_OUTPUT").map(PathBuf::from),
                project_folder: variable("SPRONGUS_PROJECT_DIR").map(PathBuf::from),
            }),
            user: variable("USER")
                .or_else(|| variable("LOGNAME"))
                .or_else(user_name)
                .map_or_else(user_number, |name| excerpt(&name, 64)),
        })
    }

    /// Whether a variable names where every command goes that does not say otherwise.
    pub fn names_a_database(&self) -> bool {
        self.api_url.is_some() || self.database_url.is_some()
    }
}

/// The user's name by the list of users, for where no variable has it: containers and services.
fn user_name() -> Option<String> {
    let number = rustix::process::getuid().as_raw();
    name_in(&std::fs::read_to_string("/etc/passwd").ok()?, number)
}

fn name_in(users: &str, number: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, id) = (fields.next()?, fields.next()?, fields.next()?);
        (id.parse() == Ok(number) && !name.is_empty()).then(|| name.to_owned())
    })
}

fn user_number() -> String {
    format!("uid-{}", rustix::process::getuid().as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_name_without_variables() {
        let users =
            "# comment\nroot:x:0:0:root:/root:/bin/sh\n:x:7:7::/:\nada:x:1000:1000:Ada:/home/ada:/bin/sh\n";
        assert_eq!(name_in(users, 0).as_deref(), Some("root"));
        assert_eq!(name_in(users, 1_000).as_deref(), Some("ada"));
        assert_eq!([name_in(users, 7), name_in(users, 8)], [None, None]);
    }
}
