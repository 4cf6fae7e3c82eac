//! The page of every command, made of what the command line is parsed by.

use std::fmt::Write as _;

use clap::{Arg, Command};

const HEAD: &str = "\
# Commands

Written by `gatepost reference commands` from what the command line is parsed by. `gatepost help COMMAND` says the same at a
terminal, `gatepost man --dir DIR` writes it as manual pages.

`--config FILE` may stand before or after every command: the configuration file; also from `GATEPOST_CONFIG`. Without a
command, `serve` runs. Exit status: 0 done, or drained in time; 64 wrong configuration or usage; 1 runtime failure; 2
drained late.
";

/// The page, as Markdown.
pub(super) fn page(mut program: Command) -> String {
    program.build();
    let mut text = HEAD.to_owned();
    for command in shown(&program) {
        write_command(command, &mut text);
    }
    text
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| command.get_name() != "help" && !command.is_hide_set())
}

/// A command that is a group of others stands for itself only by these.
fn write_command(command: &Command, text: &mut String) {
    if shown(command).next().is_some() {
        for inner in shown(command) {
            write_command(inner, text);
        }
        return;
    }
    let name = command.get_bin_name().unwrap_or(command.get_name());
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").split_whitespace().collect::<Vec<_>>().join(" ");
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    // Writing to a String cannot fail.
    let _ = write!(text, "\n## `{name}`\n\n{}\n\n```text\n{usage}\n```\n", sentence(&about));
    let arguments: Vec<&Arg> = command.get_arguments().filter(|argument| is_its_own(argument)).collect();
    if !arguments.is_empty() {
        text.push_str("\n| argument | what it does | default |\n|---|---|---|\n");
        for argument in arguments {
            write_argument(argument, text);
        }
    }
}

fn is_its_own(argument: &Arg) -> bool {
    !argument.is_hide_set() && !["help", "version", "config"].contains(&argument.get_id().as_str())
}

fn write_argument(argument: &Arg, text: &mut String) {
    let names: Vec<String> = argument.get_value_names().into_iter().flatten().map(ToString::to_string).collect();
    let value = if argument.get_action().takes_values() { names.join(" ") } else { String::new() };
    let name = match argument.get_long() {
        Some(long) if value.is_empty() => format!("`--{long}`"),
        Some(long) => format!("`--{long} {value}`"),
        None => format!("`{value}`"),
    };
    let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
    let words: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|word| argument.get_action().takes_values() && !word.is_hide_set())
        .map(|word| format!("`{}`", word.get_name()))
        .collect();
    let words = if words.is_empty() { String::new() } else { format!(": {}", words.join(", ")) };
    let defaults: Vec<String> =
        argument.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
    let default = if argument.get_action().takes_values() { defaults.join(", ") } else { String::new() };
    let told = format!("{}{words}", help.trim_end_matches('.')).replace('|', "\\|").replace('\n', " ");
    let _ = writeln!(text, "| {name} | {told} | {default} |");
}

/// Each paragraph ends like a sentence.
fn sentence(about: &str) -> String {
    let paragraphs = about.split("\n\n").map(|paragraph| format!("{}.", paragraph.trim_end_matches('.')));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}
