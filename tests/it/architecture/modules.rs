//! The modules of a crate, read from its source: what each declares and what it names.
//!
//! Code behind `#[cfg(test)]` is left out. A method that is called without a path is not seen.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};

/// A path as it stands in the code, such as `["super", "queue", "Claim"]`.
pub type Names = Vec<String>;

/// One module of a crate. Inline modules are modules of the file that they stand in.
#[derive(Default)]
pub struct Module {
    pub file: String,
    pub names: Vec<Named>,
    children: BTreeSet<String>,
    items: BTreeSet<String>,
    imports: HashMap<String, Names>,
    globs: Vec<Names>,
}

/// A path that a module names, and its line.
pub struct Named {
    pub path: Names,
    pub line: usize,
}

/// Every module by its path, whose first segment is the crate: `["backends", "redis", "queue"]`.
#[derive(Default)]
pub struct Modules {
    pub all: BTreeMap<Names, Module>,
    tests: BTreeSet<Names>,
}

/// Crates by the name that other crates use.
const CRATES: [(&str, &str); 2] = [
    ("asset_gateway", "gateway"),
    ("asset_gateway_backends", "backends"),
];

const DECLARE: [&str; 8] = [
    "fn", "struct", "enum", "trait", "const", "type", "static", "union",
];

impl Modules {
    /// Reads every file below `folder`, but for those below `skip`.
    pub fn read_folder(&mut self, name: &str, root: &Path, folder: &str, skip: &[&str]) {
        let mut folders = vec![root.join(folder)];
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(&next).unwrap() {
                let path = entry.unwrap().path();
                let below = path.strip_prefix(root.join(folder)).unwrap();
                if skip.iter().any(|skip| below.starts_with(skip)) {
                    continue;
                }
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let below = below.with_extension("");
                    let module = below.iter().map(|part| part.to_str().unwrap().to_owned());
                    let module = std::iter::once(name.to_owned())
                        .chain(module.filter(|part| part != "lib"))
                        .collect();
                    let file = path.strip_prefix(root).unwrap().display().to_string();
                    self.read_file(module, file, &std::fs::read_to_string(&path).unwrap());
                }
            }
        }
    }

    pub fn read_file(&mut self, path: Names, file: String, text: &str) {
        let tokens: TokenStream = text
            .parse()
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        let module = Module {
            file,
            ..Module::default()
        };
        self.read(path, module, tokens);
    }

    /// Drops the modules of tests and ties children to their parents.
    pub fn finish(&mut self) {
        let tests = std::mem::take(&mut self.tests);
        self.all
            .retain(|path, _| !tests.iter().any(|test| path.starts_with(test)));
        let paths: Vec<Names> = self.all.keys().cloned().collect();
        for path in paths {
            let Some((name, parent)) = path.split_last() else {
                continue;
            };
            if let Some(parent) = self.all.get_mut(parent) {
                parent.children.insert(name.clone());
            }
        }
    }

    /// The module that holds what `path` names, seen from the module `at`. `None`: no module of ours.
    pub fn resolve(&self, path: &[String], at: &[String]) -> Option<Names> {
        self.follow(path, at, 0)
    }

    fn follow(&self, path: &[String], at: &[String], depth: usize) -> Option<Names> {
        let first = path.first().filter(|_| depth < 12)?;
        let (mut here, start) = match first.as_str() {
            "crate" => (vec![at.first()?.clone()], 1),
            "self" => (at.to_vec(), 1),
            "super" => {
                let ups = path.iter().take_while(|part| *part == "super").count();
                (at[..at.len().checked_sub(ups)?].to_vec(), ups)
            }
            other => match CRATES.iter().find(|(name, _)| *name == other) {
                Some((_, name)) => (vec![(*name).to_owned()], 1),
                None => {
                    let module = self.all.get(at)?;
                    if !module.children.contains(other) && !module.imports.contains_key(other) {
                        return None;
                    }
                    (at.to_vec(), 0)
                }
            },
        };
        self.all.get(&here)?;
        for (index, part) in path.iter().enumerate().skip(start) {
            let module = &self.all[&here];
            let after = &path[index + 1..];
            if module.children.contains(part) {
                here.push(part.clone());
            } else if let Some(import) = module.imports.get(part).filter(|import| *import != path) {
                let import: Names = import.iter().chain(after).cloned().collect();
                return self.follow(&import, &here, depth + 1).or(Some(here));
            } else if module.items.contains(part) {
                return Some(here);
            } else {
                let through = module.globs.iter().find_map(|glob| {
                    let target = self.follow(glob, &here, depth + 1)?;
                    let holds = target != here && self.all[&target].holds(part);
                    let mut inner = vec!["self".to_owned()];
                    inner.extend_from_slice(&path[index..]);
                    holds.then(|| self.follow(&inner, &target, depth + 1))?
                });
                return through.or(Some(here));
            }
        }
        Some(here)
    }

    fn read(&mut self, path: Names, mut module: Module, tokens: TokenStream) {
        self.scan(&path, &mut module, tokens);
        self.all.insert(path, module);
    }

    fn scan(&mut self, path: &Names, module: &mut Module, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            let rest = &tokens[at..];
            at += match rest {
                [TokenTree::Punct(hash), TokenTree::Group(attribute), ..]
                    if hash.as_char() == '#' && attribute.delimiter() == Delimiter::Bracket =>
                {
                    2 + if is_for_tests(attribute) {
                        self.skip_item(path, &rest[2..])
                    } else {
                        0
                    }
                }
                [TokenTree::Ident(word), TokenTree::Group(scope), ..]
                    if word == "pub" && is_visibility(scope) =>
                {
                    2
                }
                [TokenTree::Ident(word), TokenTree::Ident(_), ..]
                | [TokenTree::Ident(word), TokenTree::Group(_), ..]
                    if word == "use" =>
                {
                    let end = rest.iter().position(|token| is_punct(token, ';'));
                    let end = end.unwrap_or(rest.len());
                    module.import(&rest[1..end]);
                    end
                }
                [
                    TokenTree::Ident(word),
                    TokenTree::Ident(name),
                    TokenTree::Group(body),
                    ..,
                ] if word == "mod" => {
                    let mut inner = path.clone();
                    inner.push(name.to_string());
                    let file = module.file.clone();
                    let child = Module {
                        file,
                        ..Module::default()
                    };
                    self.read(inner, child, body.stream());
                    3
                }
                [TokenTree::Ident(word), TokenTree::Ident(name), ..]
                    if DECLARE.iter().any(|declare| word == declare) =>
                {
                    module.items.insert(name.to_string());
                    1
                }
                [TokenTree::Ident(first), ..] => {
                    let (named, length) = path_at(rest);
                    if named.len() > 1 {
                        let line = first.span().start().line;
                        module.names.push(Named { path: named, line });
                    }
                    length
                }
                [TokenTree::Group(group), ..] => {
                    self.scan(path, module, group.stream());
                    1
                }
                _ => 1,
            };
        }
    }

    /// The length of an item behind `#[cfg(test)]`. A file that it declares is remembered as a test's.
    fn skip_item(&mut self, path: &Names, tokens: &[TokenTree]) -> usize {
        if let Some(name) = tokens.windows(3).take(4).find_map(|three| match three {
            [
                TokenTree::Ident(word),
                TokenTree::Ident(name),
                TokenTree::Punct(end),
            ] => (word == "mod" && end.as_char() == ';').then(|| name.to_string()),
            _ => None,
        }) {
            let mut test = path.clone();
            test.push(name);
            self.tests.insert(test);
        }
        let end = tokens.iter().position(|token| match token {
            TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
            other => is_punct(other, ';'),
        });
        end.map_or(tokens.len(), |end| end + 1)
    }
}

impl Module {
    fn holds(&self, name: &str) -> bool {
        self.items.contains(name) || self.children.contains(name) || self.imports.contains_key(name)
    }

    /// Reads the tree of a `use`, without the word and the semicolon.
    fn import(&mut self, tree: &[TokenTree]) {
        self.import_below(&[], tree);
    }

    fn import_below(&mut self, prefix: &[String], tree: &[TokenTree]) {
        let mut path = prefix.to_vec();
        let mut name = None;
        let mut line = 0;
        let mut tokens = tree.iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Ident(word) if word == "as" => {
                    name = tokens.next().map(ToString::to_string);
                }
                TokenTree::Ident(word) if word == "self" && !path.is_empty() => {}
                TokenTree::Ident(word) => {
                    line = word.span().start().line;
                    path.push(word.to_string());
                }
                TokenTree::Group(group) => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    for tree in inner.split(|token| is_punct(token, ',')) {
                        if !tree.is_empty() {
                            self.import_below(&path, tree);
                        }
                    }
                    return;
                }
                TokenTree::Punct(star) if star.as_char() == '*' => {
                    line = star.span().start().line;
                    self.globs.push(path.clone());
                    name = Some(String::new());
                }
                _ => {}
            }
        }
        if let Some(name) = name.or_else(|| path.last().cloned()) {
            self.imports.insert(name, path.clone());
        }
        self.names.push(Named { path, line });
    }
}

/// The path that begins at `tokens`, and how many tokens it has.
fn path_at(tokens: &[TokenTree]) -> (Names, usize) {
    let mut path = Vec::new();
    let mut length = 0;
    while let Some(TokenTree::Ident(word)) = tokens.get(length) {
        path.push(word.to_string());
        length += 1;
        match &tokens[length..] {
            [
                TokenTree::Punct(first),
                TokenTree::Punct(second),
                TokenTree::Ident(_),
                ..,
            ] if is_double_colon(first, second) => length += 2,
            _ => break,
        }
    }
    (path, length)
}

fn is_double_colon(first: &proc_macro2::Punct, second: &proc_macro2::Punct) -> bool {
    first.as_char() == ':' && first.spacing() == Spacing::Joint && second.as_char() == ':'
}

fn is_punct(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

/// `cfg(test)` or `cfg(all(test, …))`.
fn is_for_tests(attribute: &Group) -> bool {
    let text: String = attribute
        .stream()
        .to_string()
        .chars()
        .filter(|sign| !sign.is_whitespace())
        .collect();
    ["cfg(test)", "cfg(all(test,"]
        .iter()
        .any(|start| text.starts_with(start))
}

/// The `(crate)` or `(super)` of a `pub(…)`, which names nothing.
fn is_visibility(scope: &Group) -> bool {
    let first = scope
        .stream()
        .into_iter()
        .next()
        .map(|token| token.to_string());
    let word = first.as_deref();
    scope.delimiter() == Delimiter::Parenthesis
        && matches!(word, Some("crate" | "super" | "self" | "in"))
}
