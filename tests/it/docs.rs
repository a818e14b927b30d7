//! Statements of the documents that can be compared with the code. (`config.yaml.example` has its
//! tests beside the configuration.)

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::pages::{quoted, read, root, section};

/// The names of `[features]`.
fn features(manifest: &str) -> BTreeSet<String> {
    section_of_manifest(&read(manifest), "[features]")
}

fn section_of_manifest(manifest: &str, header: &str) -> BTreeSet<String> {
    let after = manifest.lines().skip_while(|line| *line != header).skip(1);
    after
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| Some(line.split_once('=')?.0.trim().to_owned()))
        .collect()
}

#[test]
fn every_feature_has_its_row() {
    let text = read("features.md");
    let mut expected = features("Cargo.toml");
    assert!(expected.remove("default") && expected.len() >= 6);
    let rows: BTreeSet<String> = section(&text, "# Features")
        .iter()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name.to_owned())
        .collect();
    assert_eq!(rows, expected);
}

#[test]
fn features_md_names_existing_defaults_files_and_dependencies() {
    let text = read("features.md");
    let manifest = read("Cargo.toml");
    let defaults = manifest.lines().find(|line| line.starts_with("default ="));
    let defaults = defaults.expect("default features");
    let dependencies = section_of_manifest(&read("backends/Cargo.toml"), "[dependencies]");
    for row in section(&text, "# Features") {
        let columns: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, name, default, module, needs, ..] = columns.as_slice() else {
            continue;
        };
        let Some(name) = quoted(name).next() else {
            continue;
        };
        let is_default = defaults.contains(&format!("\"{name}\""));
        assert_eq!(*default, if is_default { "yes" } else { "no" }, "{name}");
        for path in quoted(module) {
            assert!(root().join(path).exists(), "{name}: {path}");
        }
        for dependency in quoted(needs) {
            assert!(dependencies.contains(dependency), "{name}: {dependency}");
        }
    }
}

/// Fenced blocks with their language.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        match (&mut open, line.starts_with("```")) {
            (None, true) => open = Some(format!("{line}\n")),
            (Some(_), true) => blocks.extend(open.take()),
            (Some(block), false) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, false) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

/// A block without its comments, which are translated.
fn commands(block: &str) -> Vec<String> {
    let code = block.lines().map(|line| match line.split_once(" #") {
        Some((code, _)) => code.trim_end(),
        None => line,
    });
    code.filter(|line| !line.trim_start().starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn both_readmes_have_the_same_code() {
    let [english, chinese] = ["README.md", "README.zh-CN.md"].map(|path| blocks(&read(path)));
    assert!(english.len() >= 10);
    for (english, chinese) in english.iter().zip(&chinese) {
        assert_eq!(commands(english), commands(chinese));
    }
    assert_eq!(english.len(), chinese.len());
}

#[test]
fn every_path_of_the_map_exists() {
    for (path, heading) in [
        ("README.md", "## Map of the tree"),
        ("README.zh-CN.md", "## 目录说明"),
    ] {
        let text = read(path);
        let mut paths = 0;
        for line in section(&text, heading) {
            for named in quoted(line) {
                assert!(root().join(named).exists(), "{path}: {named}");
                paths += 1;
            }
        }
        assert!(paths >= 10, "{path}");
    }
}

/// The README in both languages and all pages of `docs`.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = ["README.md", "README.zh-CN.md", "features.md"]
        .map(PathBuf::from)
        .to_vec();
    for folder in ["docs", "docs/adr"] {
        let entries = std::fs::read_dir(root().join(folder)).expect(folder);
        let names = entries.map(|entry| Path::new(folder).join(entry.unwrap().file_name()));
        pages.extend(names.filter(|name| name.extension().is_some_and(|ext| ext == "md")));
    }
    pages
}

#[test]
fn links_lead_to_files() {
    let mut links = 0;
    for page in pages() {
        let text = read(page.to_str().unwrap());
        for link in text.split("](").skip(1) {
            let target = link.split(')').next().unwrap_or_default();
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let path = root()
                .join(page.parent().unwrap_or(Path::new("")))
                .join(file);
            assert!(path.exists(), "{}: {target}", page.display());
            links += 1;
        }
    }
    assert!(links >= 10);
}

#[test]
fn files_and_folders_of_the_source_that_a_page_names_are_there() {
    let folders = [
        "src/",
        "backends/",
        "tests/",
        "benches/",
        "fuzz/",
        "scripts/",
    ];
    let mut paths = 0;
    for page in pages() {
        for line in read(page.to_str().unwrap()).lines() {
            for path in quoted(line) {
                let is_source = path.ends_with(".rs") || path.ends_with(".lua");
                let is_path = is_source && path.contains('/')
                    || folders.iter().any(|folder| path.starts_with(folder));
                if !is_path || path.contains(char::is_whitespace) {
                    continue;
                }
                assert!(root().join(path).exists(), "{}: {path}", page.display());
                paths += 1;
            }
        }
    }
    assert!(paths >= 50, "{paths}");
}

#[test]
fn the_table_of_clouds_is_that_of_the_code() {
    let text = read("docs/clouds.md");
    let table = asset_gateway_backends::object_backend::clouds::markdown();
    assert!(
        text.contains(&table),
        "expected in docs/clouds.md:\n{table}"
    );
}

#[test]
fn every_metric_is_in_the_handbook() {
    let text = read("docs/operations.md");
    for metric in asset_gateway::telemetry::metrics::ALL {
        let name = format!("`{}`", metric.name);
        assert!(text.contains(&name), "{name}");
    }
}

/// All Rust files below `folder`, as one text.
fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_test_on_the_security_page_exists() {
    let mut code = String::new();
    for folder in ["src", "tests", "backends/src", "backends/tests"] {
        sources(&root().join(folder), &mut code);
    }
    let text = read("docs/security.md");
    let mut names = 0;
    for row in section(&text, "## Attacks and tests") {
        let Some((_, tests)) = row.strip_prefix("| ").and_then(|row| row.split_once(" | ")) else {
            continue;
        };
        for name in quoted(tests) {
            // The cases of a suite stand in the suite's list.
            let is_there = [
                format!("fn {name}("),
                format!(" {name};"),
                format!(" {name},"),
            ]
            .iter()
            .any(|form| code.contains(form.as_str()));
            assert!(is_there, "{name}");
            names += 1;
        }
    }
    assert!(names >= 40, "{names}");
}
