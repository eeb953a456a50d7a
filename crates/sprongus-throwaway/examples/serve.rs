//! A durable server for measuring by hand: prints the URL of its `sprongus_owner` (may make databases, held to row security) and stays
//! until its input ends. Each argument is an option, such as `shared_buffers=1GB`.

use std::io::Read;

use sprongus_throwaway::{Durability, Server, Settings};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = std::env::args().skip(1).filter_map(|option| {
        let (name, value) = option.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    let options = options.collect();
    let server = Server::start(Settings { durability: Durability::Full, options, ..Settings::default() })?;
    println!("{}", server.url("postgres", "sprongus_owner"));
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
