//! Keys as a room declares them, read from a table and an environment.

use std::collections::BTreeMap;
use std::time::Duration;

use super::document::{Chapter, Document, Variant};
use super::kind::{choice, number, path, span, text, words};
use super::lists::{list, one_or_more};
use super::record::Change;
use super::*;

/// What a room reads: one key of each kind.
fn read(table: &mut Table, diagnostics: &mut Diagnostics) -> (u64, Duration, bool, Vec<String>, Option<u64>) {
    let range = Duration::ZERO..=Duration::from_mins(1);
    (
        key("count", "How many.", number(1..=9)).variable("GATEPOST_COUNT").or(3, table, diagnostics),
        key("wait", "How long.", span(range)).takes_a_restart().or(Duration::from_secs(10), table, diagnostics),
        key("mode", "Which way.", choice(&[("off", false), ("on", true)])).or(false, table, diagnostics),
        key("names", "Which ones.", list(words("a name"))).or(Vec::new(), table, diagnostics),
        key("needed", "What must be.", number(1..=9)).required("is missing: say it", table, diagnostics),
    )
}

struct Reading {
    errors: Vec<String>,
    sections: Vec<record::Section>,
}

fn reading(toml: &str, vars: &[(&str, &str)]) -> Reading {
    let vars: BTreeMap<_, _> = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut diagnostics = Diagnostics::new(&vars);
    let mut table = Table::new("[s]", "s", toml.parse().unwrap());
    read(&mut table, &mut diagnostics);
    table.finish(&mut diagnostics);
    let errors = diagnostics.errors.iter().map(ToString::to_string).collect();
    Reading { errors, sections: diagnostics.sections }
}

fn shown(reading: &Reading) -> String {
    let mut text = String::new();
    reading.sections[0].write(&mut text);
    text
}

#[test]
fn every_error_is_kept_and_none_shows_the_value() {
    let toml = "count = 'hunter2'\nwait = 10\nmode = 1\nnames = ['x', 2, 3]\nneeded = -1\nneedde = 1\n";
    let expected = [
        "s.count: expected a whole number, found a string",
        "s.wait: expected a number and a unit in quotes, such as \"10s\", found an integer",
        "s.mode: expected a string, found an integer",
        "s.names[1]: expected a string, found an integer",
        "s.names[2]: expected a string, found an integer",
        "s.needed: expected a number from 1 to 9, found -1",
        "s.needde: unknown key (did you mean needed?)",
    ];
    assert_eq!(reading(toml, &[]).errors, expected);
}

#[test]
fn what_is_missing_is_said_once_and_what_is_faulty_is_not_missing() {
    assert_eq!(reading("", &[]).errors, ["s.needed: is missing: say it"]);
    assert_eq!(reading("needed = 10\n", &[]).errors.len(), 1);
}

#[test]
fn a_variable_wins_and_the_file_is_read_all_the_same() {
    let both = reading("count = 4\nneeded = 1\n", &[("GATEPOST_COUNT", " 5 ")]);
    assert_eq!(both.errors, Vec::<String>::new());
    assert!(shown(&both).contains("count = 5 # GATEPOST_COUNT\n"), "{}", shown(&both));
    let faulty = reading("count = 0\nneeded = 1\n", &[("GATEPOST_COUNT", "5x")]);
    let expected = [
        "s.count: expected a number from 1 to 9, found 0",
        "GATEPOST_COUNT: expected a plain number from 1 to 9, found \"5x\"",
    ];
    assert_eq!(faulty.errors, expected);
    let empty = reading("needed = 1\n", &[("GATEPOST_COUNT", " ")]);
    assert_eq!(empty.errors, ["GATEPOST_COUNT: is set but empty: give a value, or unset it"]);
}

#[test]
fn what_is_shown_can_be_read_again() {
    let first = reading("names = ['a', 'b']\nneeded = 2\nmode = 'on'\n", &[]);
    let text = shown(&first);
    assert_eq!(text, "[s]\ncount = 3\nwait = \"10s\"\nmode = \"on\"\nnames = [\"a\", \"b\"]\nneeded = 2\n");
    let again = reading(text.strip_prefix("[s]\n").unwrap(), &[]);
    assert_eq!((again.errors.len(), first.sections[0].change(&again.sections[0])), (0, Change::None));
}

#[test]
fn a_change_is_one_of_values_or_of_secrets() {
    let read = |toml: &str, value: &str| {
        let vars = [("GATEPOST_KEY".to_owned(), value.to_owned())].into();
        let mut diagnostics = Diagnostics::new(&vars);
        let mut table = Table::new("[s]", "s", toml.parse().unwrap());
        _ = secret("token", "It.").variable("GATEPOST_KEY").token(&mut table, &mut diagnostics);
        _ = secret("url", "Where.").text(Some("https://a/"), &mut table, &mut diagnostics);
        table.finish(&mut diagnostics);
        assert_eq!(diagnostics.errors, []);
        diagnostics.sections.remove(0)
    };
    let now = read("", "hunter2");
    assert_eq!(now.change(&read("", "hunter2")), Change::None);
    assert_eq!(now.change(&read("", "hunter3")), Change::Secrets);
    assert_eq!(now.change(&read("url = 'https://b/'", "hunter2")), Change::Values);
    let through = |password: &str| read(&format!("url = 'https://u:{password}@b/'"), "hunter2");
    assert_eq!(through("one").change(&through("two")), Change::Secrets);
    let mut text = String::new();
    through("one").write(&mut text);
    assert_eq!(text, "[s]\ntoken = \"[redacted] from variable GATEPOST_KEY\"\nurl = \"https://[redacted]@b/\"\n");
}

#[test]
fn tables_that_only_a_variable_makes_are_named_by_it() {
    let vars = BTreeMap::new();
    let mut diagnostics = Diagnostics::new(&vars);
    let mut table = Table::made_by("[[source]]", "NICE_WEBHOOK_SECRET");
    _ = key("needed", "It.", number(1..=9)).required("is missing", &mut table, &mut diagnostics);
    assert_eq!(diagnostics.errors[0].to_string(), "NICE_WEBHOOK_SECRET: is missing");
}

#[test]
fn several_secrets_of_a_vendor_are_read_from_either_variable_or_the_file() {
    let variables = SecretVariables { list: "V_SECRETS", single: "V_SECRET" };
    let read = |toml: &str, vars: &[(&str, &str)]| {
        let vars: BTreeMap<_, _> = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut diagnostics = Diagnostics::new(&vars);
        let mut table = Table::new("[[source]]", "source[0]", toml.parse().unwrap());
        let found = secrets("secrets", "They.").variables(Some(variables)).read(&mut table, &mut diagnostics);
        let found: Vec<String> = found.iter().map(|one| String::from_utf8(one.expose().to_vec()).unwrap()).collect();
        (found, diagnostics.errors.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let (a, b) = ("first-secret-long-enough", "second-secret-long-enough");
    assert_eq!(read("", &[("V_SECRETS", &format!("{a}, {b}"))]).0, [a, b]);
    assert_eq!(read("", &[("V_SECRET", " one, with, commas ")]).0, [" one, with, commas "]);
    let (found, errors) = read("", &[("V_SECRETS", &format!("{a},,short,{b}, "))]);
    assert_eq!((found.len(), errors.len()), (2, 3), "{errors:?}");
    assert!(errors[1].starts_with("V_SECRETS[2]: "), "{errors:?}");
    assert_eq!(read("", &[("V_SECRETS", a), ("V_SECRET", b)]).1.len(), 1);
    let file = format!("secrets = [{{ env = 'V_OTHER' }}, {{ value = '{a}', label = 'x' }}]\n");
    assert_eq!(read(&file, &[("V_OTHER", b)]), (vec![b.to_owned(), a.to_owned()], vec![]));
    assert_eq!(read(&file, &[("V_SECRET", b)]).0, [b], "the variable wins");
    assert_eq!(read("", &[]).1.len(), 1, "none at all");
    assert_eq!(read("secrets = []", &[]).1.len(), 1);
}

#[test]
fn one_or_more_stand_alone_or_in_a_list() {
    let read = |toml: &str| {
        let vars = BTreeMap::new();
        let mut diagnostics = Diagnostics::new(&vars);
        let mut table = Table::new("[s]", "s", toml.parse().unwrap());
        let kind = one_or_more(text(|text| text.parse::<u8>().map_err(|e| e.to_string()), "a byte"), "is empty");
        let found = key("k", "It.", kind).maybe(&mut table, &mut diagnostics).value();
        (found, diagnostics.errors.len())
    };
    assert_eq!(read("k = '7'"), (Some(vec![7]), 0));
    assert_eq!(read("k = ['7', '8']"), (Some(vec![7, 8]), 0));
    assert_eq!(read("k = []"), (None, 1));
    assert_eq!(read("k = ['7', '800', 1]"), (None, 2));
}

fn document() -> Document {
    let variant = |value: &str, special: &'static str| {
        let vars = BTreeMap::new();
        let mut diagnostics = Diagnostics::new(&vars);
        let mut table = Table::new("[[s]]", "s", toml::Table::new());
        _ = key("type", "Which.", words("a type")).required("", &mut table, &mut diagnostics);
        _ = key("count", "How many | at once.", number(1..=9)).variable("X_COUNT").or(3, &mut table, &mut diagnostics);
        _ = key(special, "Its own.", path()).example(Example::Set("'/x'")).required("", &mut table, &mut diagnostics);
        _ = secret("token", "Secret.").variable("X_TOKEN").token(&mut table, &mut diagnostics);
        Variant {
            value: value.to_owned(),
            section: table.into_section(),
            example: if value == "a" { &[("count", "4")] } else { &[] },
        }
    };
    let variants = vec![variant("a", "of_a"), variant("b", "of_b")];
    Document(vec![Chapter { title: "[[s]]".to_owned(), by: Some("type"), variants }])
}

#[test]
fn the_schema_has_a_branch_for_each_variant() {
    let schema = document().schema();
    let branches = schema["properties"]["s"]["items"]["oneOf"].as_array().unwrap();
    assert_eq!(branches[1]["properties"]["type"]["const"], "b");
    assert_eq!(branches[1]["required"], serde_json::json!(["type", "of_b"]));
    assert_eq!(branches[0]["properties"]["count"]["default"], 3);
    assert!(branches[0]["properties"].get("of_b").is_none());
}

#[test]
fn the_reference_says_what_is_shared_once() {
    let text = document().reference();
    assert_eq!(text.matches("How many \\| at once.").count(), 1, "{text}");
    assert!(text.contains("With `type` `a`:") && text.contains("With `type` `b`:"), "{text}");
    assert!(
        text.contains("| `count` | How many \\| at once. | a whole number from 1 to 9 | `3` | `X_COUNT` |"),
        "{text}"
    );
    assert!(text.contains("`X_TOKEN` *secret*"), "{text}");
}

#[test]
fn the_example_explains_each_key_once_and_can_be_read() {
    let text = document().example();
    assert_eq!(text.matches("How many").count(), 1, "{text}");
    let parsed: toml::Table = text.parse().unwrap();
    let tables = parsed["s"].as_array().unwrap();
    assert_eq!((tables.len(), tables[0]["of_a"].as_str(), tables[0]["count"].as_integer()), (1, Some("/x"), Some(4)));
    assert!(text.contains("# Only with type \"b\": Its own."), "{text}");
}

#[test]
fn variables_with_a_secret_have_a_form_that_names_a_file() {
    let names: Vec<String> = document().variables().into_iter().collect();
    assert_eq!(names, ["X_COUNT", "X_TOKEN", "X_TOKEN_FILE"]);
}
