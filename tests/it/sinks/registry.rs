//! A sink costs its own file or folder and its lines in the registry: nothing else in `src` names one.

use std::path::{Path, PathBuf};

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The code of a file, without comments and its own unit tests.
fn code(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let code = text.find("\n#[cfg(test)]\nmod tests {").and_then(|at| text.get(..at)).unwrap_or(&text);
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Whether `code` speaks of the sink `name`, as a module, a type in the file or a feature.
fn names(code: &str, name: &str) -> bool {
    let module = format!("{name}::");
    let mut found = code.match_indices(&module).map(|(at, _)| &code[..at]);
    found.any(|before| !before.ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        || code.contains(&format!("\"{name}\""))
}

#[test]
fn no_file_but_its_own_and_the_registry_names_a_sink() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let registry = root.join("sink/mod.rs");
    for name in ["nats", "sqs"] {
        let own = [root.join("sink").join(format!("{name}.rs")), root.join("sink").join(name)];
        assert!(own.iter().any(|own| own.exists()) && names(&code(&registry), name), "{name} is no sink any more");
        let is_own = |file: &PathBuf| file.ends_with("tests.rs") || own.iter().any(|own| file.starts_with(own));
        let elsewhere: Vec<_> = files(&root)
            .into_iter()
            .filter(|file| *file != registry && !is_own(file) && names(&code(file), name))
            .collect();
        assert!(elsewhere.is_empty(), "{name} in {elsewhere:?}");
        let lines = code(&registry)
            .lines()
            .filter(|line| line.contains(&format!("{name}::")) || line.contains(&format!("mod {name};")))
            .count();
        assert_eq!(lines, 2, "{name} in the registry");
    }
    for file in files(&root).iter().filter(|file| !file.starts_with(root.join("sink"))) {
        let code = code(file);
        assert!(!code.contains("sink::http::") && !code.contains("TYPES"), "{}", file.display());
    }
}

#[test]
fn this_test_would_catch_a_name() {
    for code in ["use crate::sink::nats::Nats;", "if kind == \"nats\" {", "#[cfg(feature = \"nats\")]"] {
        assert!(names(code, "nats"), "{code}");
    }
    assert!(!names("use async_nats::Client;", "nats"));
}
