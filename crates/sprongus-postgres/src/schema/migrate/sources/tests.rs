use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sprongus_throwaway::Database;

use super::super::connect;
use super::*;
use crate::schema::open::{Options, config};

/// The migrations that came before functions were in files of their own.
const BEFORE: u32 = 18;

fn texts(folder: &str) -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let text = |path: PathBuf| {
        (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(path).unwrap())
    };
    files.map(text).collect()
}

fn number(file: &str) -> u32 {
    file[..4].parse().unwrap()
}

#[test]
fn every_file_is_applied() {
    let sorted = |texts: Vec<&str>| {
        let mut texts = texts;
        texts.sort_unstable();
        texts.concat()
    };
    for (folder, applied) in [
        ("migrations", SOURCES.iter().flat_map(|source| source.sql.iter().copied()).collect()),
        ("functions", FUNCTIONS.to_vec()),
    ] {
        let there = texts(folder);
        assert_eq!(sorted(applied), sorted(there.values().map(String::as_str).collect()), "{folder}");
    }
    assert!(SOURCES.is_sorted_by(|one, next| one.number < next.number));
    let first_files: Vec<u32> = texts("migrations").keys().map(|file| number(file)).collect();
    for source in SOURCES {
        assert!(first_files.contains(&source.number), "{}: the file has the number", source.number);
    }
}

#[test]
fn no_migration_makes_a_function_or_patches_one() {
    for (file, text) in texts("migrations") {
        let patches = ["pg_get_functiondef", "prosrc"].iter().any(|word| text.contains(word));
        let landed = ["0003_stream.sql", "0009_own_tokens.sql"].contains(&file.as_str());
        assert_eq!(patches, landed, "{file}: write the function anew, whole, in functions/");
        let text = text.to_uppercase();
        let makes = ["FUNCTION", "PROCEDURE"].iter().any(|what| {
            text.contains(&format!("CREATE {what}")) || text.contains(&format!("REPLACE {what}"))
        });
        assert!(!makes || number(&file) <= BEFORE, "{file}: functions are in functions/");
    }
}

#[test]
fn a_change_of_the_functions_comes_with_a_migration() {
    let now = checksum(FUNCTIONS);
    let named = |text: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix("-- functions: ").map(str::to_owned));
        line.filter(|line| line.len() == now.len())
    };
    let newest = texts("migrations").into_values().filter_map(|text| named(&text)).next_back();
    assert_eq!(
        newest.as_deref(),
        Some(&*now),
        "the functions have changed: add a migration with the line `-- functions: {now}`"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_function_of_a_database_is_the_one_in_the_files() {
    let database = Database::empty();
    let url = database.url("sprongus_owner");
    crate::migrate(&url, &Options::default(), None).await.unwrap();
    let client = connect(&config(&url, "sprongus").unwrap()).await.unwrap();
    let all = "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'sprongus'::regnamespace";
    let rows = client.query(all, &[]).await.unwrap();
    let whole = FUNCTIONS.concat().replace("@schema@", "sprongus");
    for row in &rows {
        let (name, body): (String, String) = (row.get(0), row.get(1));
        assert!(whole.contains(&format!("CREATE OR REPLACE FUNCTION {name}(")), "{name} is in no file");
        assert!(whole.contains(&format!("$${body}$$")), "{name} is another one");
    }
    assert_eq!(rows.len(), whole.matches("CREATE OR REPLACE FUNCTION ").count());
    let open = "SELECT string_agg(proname, ' ') FROM pg_proc p WHERE pronamespace = 'sprongus'::regnamespace
        AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS given WHERE given.grantee = 0)";
    let open: Option<String> = client.query_one(open, &[]).await.unwrap().get(0);
    assert_eq!(open.as_deref(), Some("no_workspace"), "what everybody may call");
}
