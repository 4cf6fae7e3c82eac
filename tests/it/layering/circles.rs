//! No circles: what two files need of each other belongs in one of them, or in a third.
//!
//! Reads text, not syntax. An edge is a path that a file names, in `use` or in passing, resolved to the file that defines
//! the item, through re-exports. A file that only declares or re-exports its children does not use them.

use std::collections::{BTreeMap, BTreeSet};

use super::{files, root};

/// What closes the circles that stood before this test did. Take away what closes none any more; add nothing.
const KNOWN: [(&str, &str); 11] = [
    ("cli::send", "cli::send::client"),
    ("cli::send", "cli::send::compose"),
    ("cli::send", "cli::send::curl"),
    ("cli::send", "cli::send::fault"),
    ("cli::send", "cli::send::report"),
    ("cli::send", "cli::send::target"),
    ("config", "config::load"),
    ("scheme", "scheme::diagnose"),
    ("scheme::hmac", "scheme::hmac::settings"),
    ("scheme::sigv4::diagnose", "scheme::sigv4::diagnose::claims"),
    ("scheme::sigv4::diagnose", "scheme::sigv4::diagnose::search"),
];

/// A module: the code of its file, without comments and unit tests, as `use` paths and the rest.
struct Module {
    uses: Vec<Use>,
    rest: String,
}

/// One name that a `use` brings.
struct Use {
    path: Vec<String>,
    name: String,
    exported: bool,
}

/// All modules by their path from the root of the crate, which is empty.
struct Crate(BTreeMap<Vec<String>, Module>);

type Edges = BTreeMap<String, BTreeSet<String>>;

impl Crate {
    fn of<'a>(sources: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(sources.into_iter().map(|(file, source)| (module_path(file), Module::of(source))).collect())
    }

    /// Which module uses which.
    fn edges(&self) -> Edges {
        let mut edges = Edges::new();
        for (from, module) in &self.0 {
            let used = module.uses.iter().filter_map(|brought| {
                let to = self.resolve(from, &brought.path, 0)?;
                let passes_on = brought.exported && to.starts_with(from) && !has_word(&module.rest, &brought.name);
                (!passes_on).then_some(to)
            });
            let in_passing = paths(&module.rest).into_iter().filter_map(|path| self.resolve(from, &path, 0));
            let to = used.chain(in_passing).filter(|to| to != from).map(|to| to.join("::"));
            edges.entry(from.join("::")).or_default().extend(to);
        }
        edges
    }

    /// The module that defines what `path` names in module `from`; `None` where it leads out of the crate.
    fn resolve(&self, from: &[String], path: &[String], depth: usize) -> Option<Vec<String>> {
        let mut segments = path.iter().peekable();
        let mut at = match segments.next()?.as_str() {
            "crate" => Vec::new(),
            "self" => from.to_vec(),
            "super" => from.split_last()?.1.to_vec(),
            name => Some([from, &[name.to_owned()]].concat()).filter(|child| self.0.contains_key(child))?,
        };
        while segments.next_if(|segment| *segment == "super").is_some() {
            at.pop();
        }
        for segment in segments {
            let child = [&at[..], std::slice::from_ref(segment)].concat();
            if self.0.contains_key(&child) {
                at = child;
                continue;
            }
            let module = self.0.get(&at)?;
            let brought = module.uses.iter().find(|brought| brought.name == *segment && depth < 10);
            let defined = brought.map(|brought| self.resolve(&at, &brought.path, depth + 1));
            return defined.unwrap_or(Some(at));
        }
        Some(at)
    }
}

impl Module {
    fn of(source: &str) -> Self {
        let tests = ["\n#[cfg(test)]\nmod tests {", "\n#[cfg(test)]\npub(super) mod tests {"];
        let end = tests.iter().filter_map(|tests| source.find(tests)).min().unwrap_or(source.len());
        let (mut uses, mut rest) = (Vec::new(), String::new());
        // How far an item reaches is no use of whoever it reaches.
        let code = source[..end].replace("pub(in crate::", "pub(in ");
        let mut lines = code.lines().map(|line| line.split("//").next().unwrap_or_default());
        while let Some(line) = lines.next() {
            let trimmed = line.trim_start();
            let exported = trimmed.starts_with("pub");
            let behind = trimmed.split_once("use ").filter(|(before, _)| {
                before.is_empty() || (before.starts_with("pub") && before.ends_with(' ') && !before.contains("fn "))
            });
            let Some((_, tree)) = behind else {
                rest.extend([line, "\n"]);
                continue;
            };
            let mut tree = tree.to_owned();
            while !tree.contains(';') {
                tree.push_str(lines.next().expect("a `use` ends"));
            }
            uses.extend(leaves(tree.split(';').next().unwrap(), &[]).into_iter().map(|(path, name)| Use {
                path,
                name,
                exported,
            }));
        }
        Self { uses, rest }
    }
}

/// The paths of a `use` tree, and the names they get.
fn leaves(tree: &str, before: &[String]) -> Vec<(Vec<String>, String)> {
    let tree = tree.trim();
    if let Some(inside) = tree.strip_prefix('{') {
        let inside = inside.strip_suffix('}').unwrap();
        let mut depth = 0_i32;
        let items = inside.split(|c: char| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            c == ',' && depth == 0
        });
        return items.filter(|item| !item.trim().is_empty()).flat_map(|item| leaves(item, before)).collect();
    }
    match tree.split_once("::") {
        Some((head, tail)) if !head.contains('{') => leaves(tail, &[before, &[head.trim().to_owned()]].concat()),
        _ => {
            let (name, alias) = tree.split_once(" as ").unwrap_or((tree, tree));
            let (name, alias) = (name.trim().to_owned(), alias.trim().to_owned());
            if name == "self" {
                return vec![(before.to_vec(), before.last().cloned().unwrap_or_default())];
            }
            vec![([before, &[name]].concat(), alias)]
        }
    }
}

/// The paths of several segments in `code`.
fn paths(code: &str) -> Vec<Vec<String>> {
    let words = code.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
    let paths = words.map(|word| word.split("::").map(ToOwned::to_owned).collect::<Vec<_>>());
    paths.filter(|path| path.len() > 1 && !path[0].is_empty()).collect()
}

fn has_word(code: &str, word: &str) -> bool {
    code.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|other| other == word)
}

/// `store/sqlite/mod.rs` is `store::sqlite`.
fn module_path(file: &str) -> Vec<String> {
    let mut path: Vec<String> = file.trim_end_matches(".rs").split('/').map(ToOwned::to_owned).collect();
    path.pop_if(|last| *last == "mod" || *last == "lib");
    path
}

/// The files that reach each other, together.
fn circles(edges: &Edges) -> BTreeSet<BTreeSet<String>> {
    let reached: BTreeMap<&String, BTreeSet<&String>> = edges.keys().map(|from| (from, reach(edges, from))).collect();
    let circle_of = |one: &String| -> BTreeSet<String> {
        let there = reached[one].iter().filter(|other| reached.get(*other).is_some_and(|back| back.contains(one)));
        there.map(|other| (*other).clone()).collect()
    };
    edges.keys().map(circle_of).filter(|circle| !circle.is_empty()).collect()
}

/// What `from` uses, directly or through others; itself only where there is a way back.
fn reach<'a>(edges: &'a Edges, from: &String) -> BTreeSet<&'a String> {
    let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(one) = next.pop() {
        for to in edges.get(one).into_iter().flatten() {
            if seen.insert(to) {
                next.push(to);
            }
        }
    }
    seen
}

#[test]
fn no_two_files_import_each_other() {
    let sources: Vec<(String, String)> = files(&root())
        .iter()
        .map(|file| {
            let inside = file.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
            (inside, std::fs::read_to_string(file).unwrap())
        })
        .filter(|(file, _)| !file.ends_with("tests.rs") && !file.contains("/tests/") && file != "main.rs")
        .collect();
    let edges = Crate::of(sources.iter().map(|(file, source)| (file.as_str(), source.as_str()))).edges();
    let mut rest = edges.clone();
    let mut faults = Vec::new();
    let known = circles(&edges);
    for (from, to) in KNOWN {
        let closes = known.iter().any(|circle| circle.contains(from) && circle.contains(to));
        if !closes || !rest.get_mut(from).is_some_and(|used| used.remove(to)) {
            faults.push(format!("closes no circle any more, take it from the list: {from} → {to}"));
        }
    }
    for circle in circles(&rest) {
        faults.push(format!("a circle: {circle:?}"));
        for from in &circle {
            faults.push(format!("    {from} → {:?}", rest[from].intersection(&circle).collect::<Vec<_>>()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn this_test_would_catch_a_circle() {
    let found = |sources: &[(&str, &str)]| {
        let found =
            circles(&Crate::of([("lib.rs", "pub mod a;"), ("z.rs", "")].iter().chain(sources).copied()).edges());
        found.into_iter().map(|circle| circle.into_iter().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
    };
    let user = ("a/b.rs", "use super::c::C;\npub(super) struct B;");
    let both = "a::b a::c";
    assert_eq!(found(&[("a/mod.rs", "mod b;\nmod c;"), user, ("a/c.rs", "use super::b::B;\nstruct C;")]), [both]);
    assert_eq!(found(&[("a/mod.rs", ""), user, ("a/c.rs", "use crate::{\n    a::b::{self, B},\n    z,\n};")]), [both]);
    assert_eq!(found(&[("a/mod.rs", ""), user, ("a/c.rs", "fn f() { super::b::g() }")]), [both]);
    let through = [("a/mod.rs", "pub(crate) use self::b::B;"), user, ("a/c.rs", "use super::B;")];
    assert_eq!(found(&through), [both], "through a re-export");
    let of_parent = ("a/b.rs", "use super::Shared;");
    let own = "struct Shared;\nmod b;\nuse self::b::B;\n";
    assert_eq!(found(&[("a/mod.rs", own), of_parent]), ["a a::b"]);
    assert_eq!(found(&[("a/mod.rs", "struct Shared(b::B);\nmod b;"), of_parent]), ["a a::b"]);
    assert_eq!(found(&[("a/mod.rs", "mod b;\npub use self::b::B;\nstruct Shared(B);"), of_parent]), ["a a::b"]);
    let three = [("a/b.rs", "use super::c::C;"), ("a/c.rs", "use super::d::D;"), ("a/d.rs", "use super::b::B;")];
    assert_eq!(found(&three), ["a::b a::c a::d"]);
    for fine in [
        [("a/mod.rs", "mod b;\npub use self::b::B;\nstruct Shared;"), of_parent],
        [("a/c.rs", "// use super::b::B;\n#[cfg(test)]\nmod tests {\n    use super::super::b::B;\n}"), user],
        [("a/c.rs", "use std::b::B;\nfn f() { b::g() }"), user],
    ] {
        assert_eq!(found(&fine), Vec::<String>::new());
    }
}
