//! What docs/architecture.md says of the modules, held against the source: no circles, and no arrow
//! that the page does not allow.

mod arrows;
mod modules;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use arrows::{by_level, circles};
use modules::{Modules, Names};

use crate::pages::{quoted, read, root, section, table};

const PAGE: &str = "docs/architecture.md";

fn source() -> Modules {
    let mut modules = Modules::default();
    modules.read_folder("gateway", &root(), "src", &[]);
    modules.read_folder(
        "backends",
        &root(),
        "backends/src",
        &["conformance", "conformance.rs"],
    );
    modules.finish();
    assert!(modules.all.len() > 200, "{}", modules.all.len());
    modules
}

/// A crate of the given files, for tests of the reader.
fn example(files: &[(&str, &str)]) -> Modules {
    let mut modules = Modules::default();
    for (path, text) in files {
        let path = path.split("::").map(str::to_owned).collect();
        modules.read_file(path, "example.rs".to_owned(), text);
    }
    modules.finish();
    modules
}

fn all_circles(modules: &Modules) -> Vec<String> {
    let levels = by_level(modules);
    let found = levels
        .iter()
        .flat_map(|(parent, arrows)| circles(parent, arrows));
    found.collect()
}

#[test]
fn no_modules_name_each_other_in_a_circle() {
    let circles = all_circles(&source());
    assert!(
        circles.is_empty(),
        "modules name each other in a circle:\n{}",
        circles.join("\n")
    );
}

#[test]
fn a_circle_is_found_whichever_way_it_is_written() {
    let imported = ("gateway::b", "use super::a::A; pub struct B(A);");
    for a in [
        "use crate::b::B; pub struct A;",
        "use super::{b::{self, B as Other}}; pub struct A;",
        "pub struct A; fn f() -> crate::b::B { loop {} }",
        "pub struct A; fn f() { use super::b; }",
        "pub struct A; fn f() { debug!(\"{}\", super::b::text()) }",
        "pub struct A; use super::B;",
        "pub struct A; use super::*; fn f() { super::B::new() }",
    ] {
        let parent = ("gateway", "mod a; mod b; pub use b::*;");
        let found = all_circles(&example(&[parent, ("gateway::a", a), imported]));
        assert_eq!(found.len(), 1, "{a}");
        assert!(found[0].starts_with("gateway: a ⇄ b\n"), "{}", found[0]);
    }
    let apart = "// use super::b::B;\npub(super) struct A(&'static str);\n\
                 #[cfg(test)] mod tests { use super::super::b::B; }";
    let parent = ("gateway", "mod a; mod b;");
    let found = all_circles(&example(&[parent, ("gateway::a", apart), imported]));
    assert_eq!(found, [""; 0]);
}

/// `["gateway", "http", "server"]` → `http`, `["backends", "redis"]` → `backends::redis`.
fn top_level(path: &Names) -> String {
    match path.as_slice() {
        [first, second, ..] if first == "gateway" => second.clone(),
        [first, second, ..] => format!("{first}::{second}"),
        other => other.join("::"),
    }
}

#[test]
fn every_arrow_stands_in_who_may_name_whom() {
    let modules = source();
    let allowed = table(&read(PAGE), "## Who may name whom");
    let mut drawn = BTreeSet::new();
    let mut refused = BTreeSet::new();
    for (path, module) in &modules.all {
        let from = top_level(path);
        for named in &module.names {
            let Some(target) = modules.resolve(&named.path, path) else {
                continue;
            };
            let to = top_level(&target);
            // lib.rs declares the modules, and any of them may name what it exports.
            if path.len() < 2 || target.len() < 2 || from == to {
                continue;
            }
            if !allowed.get(&from).is_some_and(|row| row.contains(&to)) {
                let written = named.path.join("::");
                let line = format!("{}:{} names {written}", module.file, named.line);
                refused.insert(format!("{from} → {to}: {line}"));
            }
            drawn.insert((from.clone(), to));
        }
    }
    let refused: Vec<String> = refused.into_iter().collect();
    assert!(
        refused.is_empty(),
        "{PAGE} does not allow:\n{}",
        refused.join("\n")
    );
    let unused: Vec<(String, String)> = allowed
        .into_iter()
        .flat_map(|(from, row)| row.into_iter().map(move |to| (from.clone(), to)))
        .filter(|arrow| !drawn.contains(arrow))
        .collect();
    assert!(
        unused.is_empty(),
        "{PAGE} allows what nothing names: {unused:?}"
    );
}

#[test]
fn crates_are_named_only_where_the_page_says() {
    let modules = source();
    let allowed = table(&read(PAGE), "### Who may name which crate");
    let mut named_in: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (path, module) in &modules.all {
        for named in &module.names {
            let Some((first, _)) = allowed.get_key_value(&named.path[0]) else {
                continue;
            };
            if modules.resolve(&named.path, path).is_none() {
                named_in.entry(first).or_default().insert(top_level(path));
            }
        }
    }
    for (name, row) in &allowed {
        let expected: BTreeSet<String> = row.iter().cloned().collect();
        assert_eq!(named_in.get(name.as_str()), Some(&expected), "{name}");
    }
}

/// The folders below `folder`, with a slash at the end, as the page writes them.
fn folders(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            let folder = folder.join(entry.file_name());
            found.insert(format!("{}/", folder.display()));
            folders(&folder, found);
        }
    }
}

#[test]
fn the_map_has_one_row_for_each_folder() {
    let mut expected = BTreeSet::new();
    for crate_folder in ["src", "backends/src"] {
        expected.insert(format!("{crate_folder}/"));
        folders(Path::new(crate_folder), &mut expected);
    }
    let page = read(PAGE);
    let rows: BTreeSet<String> = table(&page, "## Map").into_keys().collect();
    let of_the_crates = rows
        .iter()
        .filter(|row| row.starts_with("src/") || row.starts_with("backends/src/"));
    let of_the_crates: BTreeSet<String> = of_the_crates.cloned().collect();
    let differing: Vec<&String> = of_the_crates.symmetric_difference(&expected).collect();
    assert!(differing.is_empty(), "{PAGE}: {differing:?}");
    for row in rows {
        assert!(root().join(&row).exists(), "{PAGE}: {row}");
    }
}

#[test]
fn the_table_of_changes_leads_to_files() {
    let page = read(PAGE);
    let mut rows = 0;
    for line in section(&page, "## Where to start a change") {
        let Some((_, files)) = line
            .strip_prefix("| ")
            .and_then(|row| row.split_once(" | "))
        else {
            continue;
        };
        for file in quoted(files) {
            assert!(root().join(file).is_file(), "{PAGE}: {line}");
            rows += 1;
        }
    }
    assert!(rows >= 25, "{rows}");
}
