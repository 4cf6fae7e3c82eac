//! What is written from what the program declares (keys, commands, answers, metrics, paths) is what stands in the
//! repository, and it is true.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn written(what: &str) -> String {
    written_by(&["config", what])
}

fn written_by(command: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_gatepost")).args(command).env_clear().output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_stands_in_the_repository_is_what_the_program_writes() {
    for (what, file) in [
        ("schema", "config/gatepost.schema.json"),
        ("reference", "docs/reference/configuration.md"),
        ("example", "config/gatepost.toml"),
    ] {
        let stands = std::fs::read_to_string(repository(file)).unwrap();
        assert!(written(what) == stands, "write it again: gatepost config {what} > {file}");
    }
}

#[test]
fn what_stands_in_the_reference_is_what_the_program_writes() {
    for page in ["commands", "answers", "metrics", "api"] {
        let file = format!("docs/reference/{page}.md");
        let stands = std::fs::read_to_string(repository(&file)).unwrap();
        assert!(written_by(&["reference", page]) == stands, "write it again: gatepost reference {page} > {file}");
    }
}

/// Whether `value` fits `schema`, as far as ours go: types, properties, branches, constants, lists.
fn fits(value: &serde_json::Value, schema: &serde_json::Value) -> Result<(), String> {
    if let Some(branches) = schema["oneOf"].as_array() {
        let fitting = branches.iter().filter(|branch| fits(value, branch).is_ok()).count();
        return if fitting == 1 { Ok(()) } else { Err(format!("{fitting} branches fit {value}")) };
    }
    if let Some(wanted) = schema.get("const") {
        return if value == wanted { Ok(()) } else { Err(format!("{value} is not {wanted}")) };
    }
    if let Some(words) = schema["enum"].as_array() {
        return if words.contains(value) { Ok(()) } else { Err(format!("{value} is none of {words:?}")) };
    }
    match schema["type"].as_str() {
        Some("object") => {
            let table = value.as_object().ok_or_else(|| format!("{value} is no table"))?;
            for key in schema["required"].as_array().into_iter().flatten().filter_map(|key| key.as_str()) {
                table.get(key).ok_or_else(|| format!("{key} is missing in {value}"))?;
            }
            for (key, value) in table {
                let property = schema["properties"].get(key).ok_or_else(|| format!("{key} is not known"))?;
                fits(value, property).map_err(|why| format!("{key}: {why}"))?;
            }
            Ok(())
        }
        Some("array") => {
            let list = value.as_array().ok_or_else(|| format!("{value} is no list"))?;
            list.iter().try_for_each(|entry| fits(entry, &schema["items"]))
        }
        Some("integer") => value.as_i64().map(drop).ok_or_else(|| format!("{value} is no whole number")),
        Some("string") => value.as_str().map(drop).ok_or_else(|| format!("{value} is no string")),
        other => Err(format!("the schema says {other:?}")),
    }
}

#[test]
fn the_shipped_files_fit_the_schema_and_mistakes_do_not() {
    let schema: serde_json::Value = serde_json::from_str(&written("schema")).unwrap();
    let parsed = |text: &str| serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap();
    for file in ["config/gatepost.toml", "config/dev.toml"] {
        let text = std::fs::read_to_string(repository(file)).unwrap();
        assert_eq!(fits(&parsed(&text), &schema), Ok(()), "{file}");
    }
    for wrong in [
        "[limits]\nbody_byte = 1\n",
        "[limits]\nbody_bytes = '1'\n",
        "[log]\nformat = 'xml'\n",
        "[[sink]]\nname = 'a'\ntype = 'kafka'\nurl = 'x'\n",
        "[[sink]]\nname = 'a'\ntype = 'http'\nurl = 'x'\nsubject = 'b'\n",
        "[[source]]\nname = 'a'\npreset = 'nice'\nregion = 'b'\n",
        "[admin]\ntoken = 'literal'\n",
        "colour = 1\n",
    ] {
        assert!(fits(&parsed(wrong), &schema).is_err(), "{wrong}");
    }
}

#[test]
fn every_variable_that_is_documented_is_in_the_shipped_environment() {
    let reference = written("reference");
    let shipped = std::fs::read_to_string(repository("config/gatepost.env")).unwrap();
    let words = reference.split('`').filter(|word| {
        word.contains('_')
            && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
            && !word.starts_with('_')
    });
    let documented: BTreeSet<&str> = words.collect();
    assert!(documented.len() > 20, "the reference names hardly any variable: {documented:?}");
    let missing: Vec<&&str> =
        documented.iter().filter(|name| **name != "GATEPOST_CONFIG" && !shipped.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
