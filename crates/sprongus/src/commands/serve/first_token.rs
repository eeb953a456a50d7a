//! The token for the first use: a server on a database that has none makes one, so that the first use is one command.
//!
//! It is kept in a file of its own beside the database, and under the server's URL among the user's tokens, where the command
//! line looks. On a later start the file tells which token is meant, whatever other server had the same URL meanwhile.

use std::fs;
use std::path::PathBuf;

use sha2::{Digest, Sha256};
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::workspace::token::{NewToken, Scope, TokenSecret};
use sprongus_core::{Caller, Result, RunsService};

use crate::app::App;
use crate::connect::{Place, Target, credentials};

/// Makes the token if it is wanted, and lets the user's commands find it.
pub async fn offer(app: &App, service: &RunsService, place: &Place, url: &str, is_local: bool) -> Result<()> {
    let Some(file) = file(app, place) else { return Ok(()) };
    let kept = fs::read_to_string(&file).ok().and_then(|text| TokenSecret::parse(text.trim()).ok());
    if let Some(secret) = kept {
        let token = service.store().token_by_hash(&secret.hash()).await?;
        if is_local && token.is_some_and(|token| token.revoked_at.is_none()) {
            introduce(app, url, &secret);
        }
        return Ok(());
    }
    let admin = service.admin(Caller::new(WorkspaceId::local(), &app.around.user));
    if !admin.tokens().await?.is_empty() {
        return Ok(());
    }
    let name = app.around.user.clone();
    let new = NewToken { name, scopes: Scope::ALL.to_vec(), projects: None, expires_in: None };
    let made = admin.create_token(new).await?;
    credentials::write_private(&file, &format!("{}\n", made.secret.expose()))?;
    app.screen.note_now(&format!("first token, with all scopes in workspace default: {}", file.display()));
    if is_local && introduce(app, url, &made.secret) {
        app.screen.note_now(&format!("on this machine, `sprongus --remote {url} runs list` uses it"));
    }
    Ok(())
}

/// Lets the user's commands find the token; a service may well have no home, and serves all the same.
fn introduce(app: &App, url: &str, secret: &TokenSecret) -> bool {
    let kept = credentials::keep(&app.around, url, secret);
    if let Err(error) = &kept {
        app.screen.note_now(&format!("could not store the token for local commands: {error}"));
    }
    kept.is_ok()
}

/// Beside a file; of a database on a server, among the user's data.
fn file(app: &App, place: &Place) -> Option<PathBuf> {
    match &place.target {
        Target::File(path) => {
            let mut name = path.as_os_str().to_owned();
            name.push(".token");
            Some(PathBuf::from(name))
        }
        Target::Postgres(_) => {
            let digest = Sha256::digest(place.target.to_string().as_bytes());
            let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            app.around.data_folder.as_ref().map(|folder| folder.join(format!("sprongus/{name}.token")))
        }
        Target::Server(_) => None,
    }
}
