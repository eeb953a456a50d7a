//! `migrate`: brings the database up to this program's schema, or tells what that would do.

use serde::Serialize;

use crate::app::App;
use crate::connect;
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::render::screen::Format;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the SQL without running it
    #[arg(long)]
    pub dry_run: bool,
    /// Grant this Postgres role the permissions a server needs
    #[arg(long, value_name = "ROLE")]
    pub role: Option<String>,
}

#[derive(Serialize)]
struct Item<'a> {
    number: u32,
    name: &'a str,
    applied: bool,
}

/// Does it, or tells.
pub async fn run(args: &Args, app: &App) -> Outcome {
    let role = args.role.as_deref();
    let (place, migrations) = connect::migrate(&app.wish(), &app.around, role, args.dry_run).await?;
    app.screen.note(&format!("database {place}"));
    if app.screen.format == Format::Json {
        let items = migrations.iter();
        let items: Vec<Item<'_>> = items
            .map(|done| Item { number: done.number, name: &done.name, applied: !args.dry_run })
            .collect();
        app.screen.json(&serde_json::json!({"data": items, "nextCursor": null}))?;
        return Ok(Exit::Done);
    }
    if migrations.is_empty() {
        app.screen.note("the schema is up to date");
    }
    if let Some(role) = role.filter(|_| !args.dry_run) {
        app.screen.note(&format!(
            "{} has the permissions a server needs",
            sprongus_core::values::text::printable(role)
        ));
    }
    for migration in &migrations {
        let title = format!("{:04} {}", migration.number, migration.name);
        let text = match (app.screen.format, args.dry_run) {
            (Format::People, true) => format!("-- {title}\n{}\n", migration.sql.trim_end()),
            (Format::People, false) => format!("applied {title}\n"),
            (Format::Quiet | Format::Json, _) => String::new(),
        };
        app.screen.text(&text)?;
    }
    Ok(Exit::Done)
}
