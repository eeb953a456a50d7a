//! docs/embedding.md: its code, taken together, is the program beside this file, which is compiled and run here.

include!("embedding/page.rs");

const PAGE: &str = include_str!("../../../docs/embedding.md");
const PROGRAM: &str = include_str!("embedding/page.rs");

#[test]
fn the_program_of_the_page_does_what_it_asserts() {
    main().expect("it ends well");
}

#[test]
fn the_program_is_that_of_the_page() {
    let blocks = PAGE.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next());
    let blocks: Vec<&str> = blocks.collect();
    assert!(blocks.len() > 3, "is the page still read rightly?");
    assert_eq!(
        blocks.join("\n"),
        PROGRAM,
        "docs/embedding.md first; crates/sprongus/tests/embedding/page.rs is to be the same"
    );
}
