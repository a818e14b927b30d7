//! Arrows between modules: who names whom, and the circles among siblings.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::modules::{Modules, Names};

/// The arrows among the children of one module, each with the lines of code that draw it.
pub type Arrows = BTreeMap<(String, String), BTreeSet<String>>;

/// The arrows of every level, by the parent. The parent of the crates is empty.
pub fn by_level(modules: &Modules) -> BTreeMap<Names, Arrows> {
    let mut levels: BTreeMap<Names, Arrows> = BTreeMap::new();
    for (path, module) in &modules.all {
        for named in &module.names {
            let Some(target) = modules.resolve(&named.path, path) else {
                continue;
            };
            let shared = path.iter().zip(&target).take_while(|(a, b)| a == b).count();
            if let (Some(from), Some(to)) = (path.get(shared), target.get(shared)) {
                let written = named.path.join("::");
                let line = format!("{}:{} names {written}", module.file, named.line);
                levels
                    .entry(path[..shared].to_vec())
                    .or_default()
                    .entry((from.clone(), to.clone()))
                    .or_default()
                    .insert(line);
            }
        }
    }
    levels
}

/// The circles of one level, as text: the modules, then each arrow among them with its lines.
pub fn circles(parent: &[String], arrows: &Arrows) -> Vec<String> {
    let mut reach: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (from, to) in arrows.keys() {
        reach.entry(from).or_default().insert(to);
    }
    let mut grows = true;
    while std::mem::take(&mut grows) {
        for (_, to) in arrows.keys() {
            let further = reach.get(to.as_str()).cloned().unwrap_or_default();
            for reached in reach.values_mut().filter(|all| all.contains(to.as_str())) {
                grows |= !further.is_subset(reached);
                reached.extend(&further);
            }
        }
    }
    let reaches = |from: &str, to: &str| reach.get(from).is_some_and(|all| all.contains(to));
    let mut circles: BTreeSet<BTreeSet<&str>> = BTreeSet::new();
    for from in reach.keys() {
        let circle: BTreeSet<&str> = reach[from]
            .iter()
            .copied()
            .filter(|to| reaches(to, from))
            .collect();
        if !circle.is_empty() {
            circles.insert(circle);
        }
    }
    let mut texts = Vec::new();
    for circle in circles {
        let names: Vec<&str> = circle.iter().copied().collect();
        let mut text = format!("{}: {}", parent.join("::"), names.join(" ⇄ "));
        for ((from, to), lines) in arrows {
            if circle.contains(from.as_str()) && circle.contains(to.as_str()) {
                let _ = write!(text, "\n  {from} → {to}");
                for line in lines {
                    let _ = write!(text, "\n    {line}");
                }
            }
        }
        texts.push(text);
    }
    texts
}
