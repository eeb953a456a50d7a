//! A second server that follows a first, and what it takes to put it in the first one's place.

use crate::failure::Result;
use crate::server::Server;
use crate::settings::{Durability, Settings};

impl Server {
    /// Copies a running server and starts the copy, which follows it under the name `standby`: a primary whose
    /// `synchronous_standby_names` says `standby` answers when this one has it too. It has the primary's settings but for
    /// that one, and then `options`.
    ///
    /// # Errors
    /// If the primary is not running, or the copy does not start.
    pub fn standby_of(primary: &Self, options: &[(&str, &str)]) -> Result<Self> {
        let inherited =
            primary.settings.options.iter().filter(|(name, _)| name != "synchronous_standby_names");
        let added = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let options = inherited.cloned().chain(added).collect();
        let settings = Settings { options, ..primary.settings.clone() };
        Self::start_from(settings, |folders, settings, binaries, account| {
            let mut copy = account.command(binaries.program("pg_basebackup"));
            let sockets = primary.socket_folder().display();
            let source =
                format!("host='{sockets}' port={} user=postgres application_name=standby", primary.port());
            copy.args(["-d", &source, "-R", "-X", "stream", "-c", "fast", "-D"]).arg(folders.data());
            if settings.durability == Durability::Fast {
                copy.arg("-N");
            }
            account.run(&mut copy)
        })
    }

    /// Makes a standby a primary, and waits until it takes writes.
    ///
    /// # Errors
    /// If it is not a standby, or not running.
    pub fn promote(&self) -> Result<()> {
        self.account.run(self.control("promote").arg("-w"))
    }
}
