//! Pages of the project, as tests read them.

use std::collections::BTreeMap;
use std::path::PathBuf;

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The lines of `text` after the line `heading`, up to the next heading.
pub fn section<'a>(text: &'a str, heading: &str) -> Vec<&'a str> {
    let after = text.lines().skip_while(|line| *line != heading).skip(1);
    let lines: Vec<&str> = after.take_while(|line| !line.starts_with('#')).collect();
    assert!(!lines.is_empty(), "no section {heading}");
    lines
}

/// The texts between backticks.
pub fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The quoted texts of a table's rows, by each quoted text of the row's first cell.
pub fn table(text: &str, heading: &str) -> BTreeMap<String, Vec<String>> {
    let lines = section(text, heading);
    let rows = lines.iter().filter_map(|line| line.strip_prefix("| "));
    let rows = rows.filter_map(|row| row.split_once(" | "));
    let mut table = BTreeMap::new();
    for (first, rest) in rows {
        for name in quoted(first) {
            let rest = quoted(rest).map(str::to_owned).collect();
            let earlier = table.insert(name.to_owned(), rest);
            assert!(earlier.is_none(), "{heading}: two rows for {name}");
        }
    }
    assert!(!table.is_empty(), "no table under {heading}");
    table
}
