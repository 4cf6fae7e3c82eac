//! Every command that the documentation says to type is one that the program takes.

use std::path::{Path, PathBuf};

use clap::error::ErrorKind;

use super::args::Cli;

/// Every page of the repository.
fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut waiting = vec![root.join("docs"), root.join("deploy"), root.join("certs-dev")];
    let mut files: Vec<PathBuf> = entries(root).into_iter().filter(|path| path.is_file()).collect();
    while let Some(directory) = waiting.pop() {
        let (directories, inside): (Vec<_>, Vec<_>) = entries(&directory).into_iter().partition(|path| path.is_dir());
        waiting.extend(directories);
        files.extend(inside);
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "md"));
    files.into_iter().map(|file| (file.clone(), std::fs::read_to_string(file).unwrap())).collect()
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// The lines of the shell in a page that run the program, those that go on put together.
fn typed(page: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut inside = None;
    for line in page.replace("\\\n", " ").lines() {
        match (line.trim_start().strip_prefix("```"), inside) {
            (Some(_), Some(_)) => inside = None,
            (Some(language), None) => inside = Some(language == "sh"),
            (None, Some(true)) => lines.push(line.trim().to_owned()),
            (None, _) => {}
        }
    }
    let runs = |line: &String| line.starts_with("gatepost ") || line.starts_with("target/debug/gatepost ");
    lines.retain(runs);
    lines
}

/// The words of a line as a shell splits them, up to whatever is not an argument.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (c, quote) {
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, Some(open)) if c == open => quote = None,
            (' ', None) => words.extend(word.take()),
            ('#', None) if word.is_none() => break,
            ('|' | '>' | '<' | ';' | '&', None) => break,
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn problem(line: &str) -> Option<String> {
    let tried = Cli::definition().try_get_matches_from(words(line));
    let error = tried.err().filter(clap::Error::use_stderr);
    error.as_ref().map(ToString::to_string)
}

#[test]
fn every_line_that_a_page_says_to_type_is_taken() {
    let lines: Vec<(PathBuf, String)> = pages()
        .into_iter()
        .flat_map(|(file, page)| typed(&page).into_iter().map(move |line| (file.clone(), line)))
        .collect();
    let wrong: Vec<String> = lines
        .iter()
        .filter_map(|(file, line)| problem(line).map(|why| format!("{}: {line}\n{why}", file.display())))
        .collect();
    assert!(wrong.is_empty() && lines.len() > 30, "{} lines\n{}", lines.len(), wrong.join("\n"));
    assert!(problem("gatepost events show").is_some(), "what is missing would be seen");
    assert!(problem("gatepost events list --sinse 2h").is_some(), "a mistake would be seen");
    assert!(problem("gatepost events list --limit 'a b' | head").is_some(), "a value that is none would be seen");
}

#[test]
fn every_command_that_a_sentence_names_exists() {
    let mut named = 0;
    for (file, page) in pages() {
        let prose: String = page.split("```").step_by(2).collect();
        for span in prose.split('`').skip(1).step_by(2).filter(|span| span.starts_with("gatepost ")) {
            // `list|show` is two commands, `…` and `[…]` are what may be left out, COMMAND stands for one.
            if span.contains(['|', '…', '[', '\n']) || span.ends_with(" COMMAND") {
                continue;
            }
            named += 1;
            let tried = Cli::definition().try_get_matches_from(words(span));
            let kind = tried.map_err(|error| error.kind()).err();
            let unknown = [ErrorKind::InvalidSubcommand, ErrorKind::UnknownArgument];
            assert!(kind.is_none_or(|kind| !unknown.contains(&kind)), "{}: {span}: {kind:?}", file.display());
        }
    }
    assert!(named > 100, "{named} named");
}
