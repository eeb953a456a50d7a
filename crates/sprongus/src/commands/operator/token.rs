//! `token`: who may ask a server for what.

use std::time::Duration;

use sprongus_core::run::list::Page;
use sprongus_core::values::ids::TokenId;
use sprongus_core::values::names::ProjectId;
use sprongus_core::values::text::excerpt;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::token::{NewToken, Scope, Token};
use sprongus_core::{Error, Result};

use crate::app::App;
use crate::cli::times;
use crate::commands::confirm;
use crate::connect::Access;
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::render::age::ago;
use crate::render::style::{ATTENTION, GOOD};
use crate::render::table::{Cell, Table};

/// What to do with them.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Create a token. It is shown only once
    Create(CreateArgs),
    /// List the workspace's tokens, newest first; the secrets are never shown
    List,
    /// Revoke a token; asks for confirmation
    Revoke {
        /// Token id, as shown by `token list`
        id: TokenId,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
}

/// What the token is to allow.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// Name of its user, recorded as the actor of events
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// Scopes: runs:read, runs:write, runs:approve, runs:work, settings:write, admin
    #[arg(long, value_name = "SCOPE,…", value_delimiter = ',', required = true)]
    pub scopes: Vec<Scope>,
    /// Restrict the token to this project (repeatable; default: all projects)
    #[arg(long, value_name = "ID")]
    pub project: Vec<ProjectId>,
    /// Expire after this long, such as 90d (default: never)
    #[arg(long, value_name = "DURATION", value_parser = times::span)]
    pub expires: Option<Duration>,
}

pub async fn run(command: Command, app: &App) -> Outcome {
    match command {
        Command::Create(args) => create(args, app).await,
        Command::List => list(app).await,
        Command::Revoke { id, yes } => revoke(id, yes, app).await,
    }
}

async fn create(args: CreateArgs, app: &App) -> Outcome {
    let new = NewToken {
        name: args.name,
        scopes: args.scopes,
        projects: (!args.project.is_empty()).then_some(args.project),
        expires_in: args.expires,
    };
    let made = app.connect(Access::Creating).await?.admin.create_token(new).await?;
    // With --quiet the token alone: `export SPRONGUS_TOKEN=$(sprongus -q token create …)`.
    app.screen.answer(&made, made.secret.expose(), || format!("{}\n", made.secret.expose()))?;
    app.screen.note(&format!(
        "created token {} for {}; it is not shown again",
        made.token.id,
        excerpt(&made.token.name, 64)
    ));
    Ok(Exit::Done)
}

async fn list(app: &App) -> Outcome {
    let admin = app.connect(Access::Existing).await?.admin;
    let page = Page { data: admin.tokens().await?, next_cursor: None };
    let now = app.screen.now();
    app.screen.list(
        &page,
        |token| token.id.to_string(),
        || {
            let mut table =
                Table::new(["ID", "NAME", "STATE", "SCOPES", "PROJECTS", "CREATED", "EXPIRES", "USED"]);
            for token in &page.data {
                table.row([
                    token.id.to_string().into(),
                    excerpt(&token.name, 32).into(),
                    state(token, now),
                    token.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(",").into(),
                    projects(token).into(),
                    ago(token.created_at, now).into(),
                    token.expires_at.map_or_else(|| "never".to_owned(), |at| ago(at, now)).into(),
                    token.last_used_at.map_or_else(|| "never".to_owned(), |at| ago(at, now)).into(),
                ]);
            }
            table.render("no tokens; create one with `sprongus token create --name NAME --scopes runs:read`")
        },
    )?;
    Ok(Exit::Done)
}

async fn revoke(id: TokenId, yes: bool, app: &App) -> Outcome {
    let admin = app.connect(Access::Existing).await?.admin;
    let token = known(admin.tokens().await?, id)?;
    let question = format!("revoke token {id} ({})?", excerpt(&token.name, 64));
    if !confirm::ask(app, &question, yes)? {
        app.screen.note("nothing changed");
        return Ok(Exit::Done);
    }
    let token = admin.revoke_token(id).await?;
    app.screen.answer(&token, &id.to_string(), || format!("token {id} is revoked\n"))?;
    Ok(Exit::Done)
}

fn known(tokens: Vec<Token>, id: TokenId) -> Result<Token> {
    tokens.into_iter().find(|token| token.id == id).ok_or_else(|| {
        Error::not_found(format_args!("token: {id}")).with_hint("list them with `sprongus token list`")
    })
}

fn state(token: &Token, now: Timestamp) -> Cell {
    if token.revoked_at.is_some() {
        Cell::styled("revoked", ATTENTION)
    } else if token.is_live(now) {
        Cell::styled("live", GOOD)
    } else {
        Cell::styled("expired", ATTENTION)
    }
}

fn projects(token: &Token) -> String {
    match &token.projects {
        None => "all".to_owned(),
        Some(projects) => {
            let names = projects.iter().map(|project| project.as_str()).collect::<Vec<_>>().join(",");
            excerpt(&names, 48)
        }
    }
}
