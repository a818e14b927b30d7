//! A bucket in a folder: an acknowledged object survives whole, with its content type.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use asset_gateway_backends::object_backend::fs::FsBackend;
use asset_gateway_backends::object_backend::{GetOptions, ObjectBackend, PutOptions};
use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::future::join_all;

use super::disk::{Disk, Found, Tree};
use super::{acknowledge, folder, scratch, trace};

/// Below the recorded folder. The bucket makes the folders above it.
const BUCKET: &str = "data/objects";

fn content(key: &str, version: u32) -> Vec<u8> {
    let line = format!("{key} in version {version}\n");
    line.repeat(300).into_bytes()
}

fn content_type(version: u32) -> String {
    format!("x-test/version-{version}")
}

fn open(root: PathBuf, with_sidecars: bool) -> FsBackend {
    match with_sidecars {
        true => FsBackend::open_without_attributes(root),
        false => FsBackend::open(root),
    }
    .unwrap()
}

async fn put(backend: &FsBackend, key: &str, version: u32, must_not_exist: bool) {
    let options = PutOptions {
        content_type: Some(content_type(version)),
        must_not_exist,
        ..PutOptions::default()
    };
    let mut upload = backend.put(key, options).await.unwrap();
    let body = content(key, version);
    for chunk in body.chunks(5000) {
        upload.write(Bytes::copy_from_slice(chunk)).await.unwrap();
    }
    upload.finish().await.unwrap();
    acknowledge(&format!("{key} {version}"));
}

/// Concurrent uploads into missing folders, over one another, and over earlier objects.
fn work(with_sidecars: bool) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let backend = open(folder().join(BUCKET), with_sidecars);
    runtime.block_on(async {
        let backend = &backend;
        join_all(
            ["a/b/c/one", "a/b/c/two", "a/x/three", "four"].map(|key| put(backend, key, 1, false)),
        )
        .await;
        put(backend, "a/b/only/once", 1, true).await;
        for version in 2..5 {
            put(backend, "a/b/c/one", version, false).await;
        }
        // Another object may get the inode of the deleted one.
        backend.delete("a/x/three").await.unwrap();
        join_all(["four", "five"].map(|key| put(backend, key, 2, false))).await;
    });
}

#[test]
#[ignore = "run by the recording test"]
fn recorded_with_attributes() {
    work(false);
}

#[test]
#[ignore = "run by the recording test"]
fn recorded_with_sidecars() {
    work(true);
}

#[test]
fn acknowledged_objects_survive_with_attributes() {
    replay("objects::recorded_with_attributes", false);
}

#[test]
fn acknowledged_objects_survive_with_sidecars() {
    replay("objects::recorded_with_sidecars", true);
}

/// The folder of temporary files: a start sweeps the remaining ones.
fn is_scratch(folder: &Path) -> bool {
    folder.ends_with(".asset-gateway/tmp")
}

fn replay(test: &str, with_sidecars: bool) {
    let recorded = scratch();
    let calls = trace::record(test, recorded.path());
    let with_attributes = calls.iter().any(|call| call.name == "fsetxattr");
    assert!(
        with_attributes != with_sidecars,
        "{} must be on a file system with extended attributes",
        recorded.path().display()
    );
    let mut disk = Disk::new(recorded.path(), is_scratch);
    let mut seen = HashSet::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut cuts = 0;
    for (at, call) in calls.iter().enumerate() {
        if !disk.apply(call) {
            continue;
        }
        let acknowledged = latest(&disk.acknowledged);
        for tree in disk.after_power_cuts() {
            let mut hasher = DefaultHasher::new();
            (&tree, &acknowledged).hash(&mut hasher);
            if seen.insert(hasher.finish()) {
                cuts += 1;
                let verdict = runtime.block_on(check(&tree, &acknowledged, with_sidecars));
                if let Err(what) = verdict {
                    let before = at.saturating_sub(12);
                    panic!("cut after {:#?}: {what}", short(&calls[before..=at]));
                }
            }
        }
    }
    assert_eq!(disk.acknowledged.len(), 10);
    assert!(cuts > 100, "{cuts} cuts");
    println!("{cuts} different power cuts in {} calls", calls.len());
}

fn short(calls: &[trace::Call]) -> Vec<String> {
    let line = |call: &trace::Call| {
        let arguments = call.arguments.iter().map(|argument| {
            let is_string = argument.starts_with("\"\\x") && argument.len() < 1000;
            match is_string {
                true => String::from_utf8_lossy(&trace::unquoted(argument)).into_owned(),
                false => argument.chars().take(40).collect(),
            }
        });
        let arguments: Vec<_> = arguments.collect();
        format!("{}({}) = {}", call.name, arguments.join(", "), call.result)
    };
    calls.iter().map(line).collect()
}

/// The latest version of each key that was acknowledged.
fn latest(acknowledged: &[String]) -> BTreeMap<String, u32> {
    let mut latest = BTreeMap::new();
    for line in acknowledged {
        let (key, version) = line.split_once(' ').unwrap();
        latest.insert(key.to_owned(), version.parse().unwrap());
    }
    latest
}

/// Opens the bucket on the remains and checks every object.
async fn check(
    tree: &Tree,
    acknowledged: &BTreeMap<String, u32>,
    with_sidecars: bool,
) -> Result<(), String> {
    let scratch = scratch();
    build(tree, scratch.path());
    let backend = open(scratch.path().join(BUCKET), with_sidecars);
    backend.sweep().await.unwrap();
    for key in ["a/b/c/one", "a/b/c/two", "a/b/only/once", "four", "five"] {
        let at_least = acknowledged.get(key).copied();
        let found = match backend.get(key, &GetOptions::default()).await {
            Ok(found) => found,
            // The object was never acknowledged.
            Err(_) if at_least.is_none() => continue,
            Err(error) => return Err(format!("{key} is lost: {error}")),
        };
        let kind = found.meta.content_type.clone();
        let bytes: Vec<Bytes> = found.body.try_collect().await.unwrap();
        let bytes = bytes.concat();
        let version = (at_least.unwrap_or(1)..5).find(|version| content(key, *version) == bytes);
        let Some(version) = version else {
            let text = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
            return Err(format!("{key} is {} bytes `{text}…`", bytes.len()));
        };
        if kind.as_deref() != Some(&content_type(version)) {
            return Err(format!("{key} in version {version} has the type {kind:?}"));
        }
    }
    Ok(())
}

/// Writes the tree as files. Their inodes differ from the recorded ones: sidecar files are renamed.
fn build(tree: &Tree, root: &Path) {
    let mut inodes = HashMap::new();
    let sidecars = Path::new(BUCKET).join(".asset-gateway/types");
    for (path, found) in tree {
        let target = root.join(path);
        match found {
            None if path.as_os_str().is_empty() => {}
            None => std::fs::create_dir(&target).unwrap(),
            Some(_) if path.parent() == Some(&sidecars) => {}
            Some(found) => {
                let inode = write(&target, found);
                inodes.extend(found.seen.map(|(recorded, _)| (recorded, inode)));
            }
        }
    }
    for (path, found) in tree {
        if let (true, Some(found)) = (path.parent() == Some(&sidecars), found) {
            write_sidecar(&root.join(&sidecars), path, &found.content.bytes, &inodes);
        }
    }
}

fn write(target: &Path, found: &Found) -> u64 {
    std::fs::write(target, &found.content.bytes).unwrap();
    let file = std::fs::File::options().write(true).open(target).unwrap();
    for (name, value) in &found.content.attributes {
        rustix::fs::fsetxattr(&file, name.as_str(), value, rustix::fs::XattrFlags::empty())
            .unwrap();
    }
    if let Some((_, modified_ns)) = found.seen {
        let since = Duration::from_nanos(u64::try_from(modified_ns).unwrap());
        file.set_modified(SystemTime::UNIX_EPOCH + since).unwrap();
    }
    file.metadata().unwrap().ino()
}

fn write_sidecar(folder: &Path, path: &Path, bytes: &[u8], inodes: &HashMap<u64, u64>) {
    let name = path.file_name().unwrap().to_str().unwrap();
    let recorded = u64::from_str_radix(name, 16).unwrap();
    // The sidecar of a missing file is left out.
    let Some(inode) = inodes.get(&recorded) else {
        return;
    };
    let mut bytes = bytes.to_vec();
    if let Ok(mut entry) = serde_json::from_slice::<serde_json::Value>(&bytes) {
        if entry["stamp"]["inode"] == recorded {
            entry["stamp"]["inode"] = (*inode).into();
        }
        bytes = entry.to_string().into_bytes();
    }
    std::fs::write(folder.join(format!("{inode:x}")), bytes).unwrap();
}
