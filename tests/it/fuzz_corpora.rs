//! Replays the corpora of the fuzz targets (`fuzz/`).

#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::path::Path;

/// Runs `target` on each input of its corpus.
fn replay(name: &str, target: fn(&[u8])) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = std::fs::read_dir(root.join("fuzz/corpus").join(name)).unwrap();
    let mut inputs = 0;
    for input in corpus {
        let path = input.unwrap().path();
        // Names the input of a panic.
        println!("{}", path.display());
        target(&std::fs::read(path).unwrap());
        inputs += 1;
    }
    assert!((1..=50).contains(&inputs), "{name}: {inputs} inputs");
}

#[test]
fn config() {
    replay("config", targets::config::run);
}

#[test]
fn disposition() {
    replay("disposition", targets::disposition::run);
}

#[test]
fn forwarded() {
    replay("forwarded", targets::forwarded::run);
}

#[test]
fn media_type() {
    replay("media_type", targets::media_type::run);
}

#[test]
fn range() {
    replay("range", targets::range::run);
}

#[test]
fn request_head() {
    replay("request_head", targets::request_head::run);
}

#[test]
fn template() {
    replay("template", targets::template::run);
}

/// Every target has a binary, a dictionary and a corpus, and is replayed here.
#[test]
fn every_fuzz_target_is_complete() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = |folder: &str| -> Vec<String> {
        let entries = std::fs::read_dir(root.join("fuzz").join(folder)).unwrap();
        let stem =
            |path: std::path::PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut names: Vec<_> = entries.map(|entry| stem(entry.unwrap().path())).collect();
        names.sort();
        names
    };
    let binaries = names("fuzz_targets");
    assert_eq!(names("corpus"), binaries);
    assert_eq!(names("dictionaries"), binaries);
    let this = include_str!("fuzz_corpora.rs");
    for name in binaries {
        assert!(
            this.contains(&format!("fn {name}()")),
            "{name} is not replayed"
        );
    }
}
