//! `login`: stores the token for a server, once the server has known it.

use std::io::{self, BufRead, IsTerminal, Read};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use sprongus_core::workspace::token::TokenSecret;
use sprongus_core::{Error, Result};
use sprongus_http::client::{Options, RunsClient};

use crate::app::App;
use crate::connect::{self, Access, Target, Wish, credentials};
use crate::exit::Exit;
use crate::exit::failure::Outcome;

/// The longest line that is read.
const LONGEST: u64 = 4_096;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The token is read from stdin, without echo on a terminal, and stored so that only you can read it."
)]
pub struct Args {
    /// Server URL (default: --remote, else SPRONGUS_API_URL, else http://localhost:3000)
    #[arg(value_name = "URL", conflicts_with = "remote")]
    pub url: Option<String>,
}

/// Asks for the token, tries it, and stores it.
pub async fn run(args: Args, app: &App) -> Outcome {
    let remote = args.url.map(Some).or_else(|| app.globals.remote.clone()).or(Some(None));
    let place = connect::choose(&Wish { remote, ..Wish::default() }, &app.around, Access::Existing)?;
    let Target::Server(url) = &place.target else {
        return Err(Error::internal("a login without a server").into());
    };
    let secret = read(app, url)?;
    let client = RunsClient::new(url, &secret, &Options::default())?;
    let token = client.own_token().await?;
    let path = credentials::keep(&app.around, url, &secret)?;
    app.screen.answer(&token, &token.id.to_string(), || {
        let scopes = token.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", ");
        format!("{url}: {} in workspace {}, scopes: {scopes}\n", token.name, token.workspace_id)
    })?;
    app.screen.note(&format!("stored in {}", path.display()));
    Ok(Exit::Done)
}

fn read(app: &App, url: &str) -> Result<TokenSecret> {
    let stdin = io::stdin();
    let cannot = |error: io::Error| Error::validation(format!("cannot read stdin: {error}"));
    let mut line = String::new();
    if stdin.is_terminal() {
        app.screen.side(&format!("token for {url}: "));
        let echoing = tcgetattr(&stdin).map_err(|error| cannot(error.into()))?;
        let mut silent = echoing.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Now, &silent).map_err(|error| cannot(error.into()))?;
        let read = stdin.lock().take(LONGEST).read_line(&mut line);
        // The terminal is the user's: it echoes again whatever came of it.
        let _ = tcsetattr(&stdin, OptionalActions::Now, &echoing);
        app.screen.side("\n");
        read.map_err(cannot)?;
    } else {
        stdin.lock().take(LONGEST).read_line(&mut line).map_err(cannot)?;
    }
    TokenSecret::parse(line.trim()).map_err(|_| {
        Error::validation("not a valid token: mistyped or truncated")
            .with_hint("create one with `sprongus token create` on the server's machine")
    })
}
