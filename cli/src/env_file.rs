//! `--env-file`: settings from a file of `KEY=value` lines, below the environment and above nothing.

use crate::exit::BadConfig;
use anyhow::Context;
use clap::{Arg, Command};
use std::collections::BTreeMap;
use std::ffi::OsString;

const OPTION: &str = "--env-file";

/// Makes the values of the file, if the arguments name one, the defaults of the options with those environment names.
///
/// # Errors
/// When the file cannot be read or has a line that is no setting.
pub(crate) fn apply(command: Command, arguments: &[OsString]) -> anyhow::Result<Command> {
    let Some(path) = file_named_by(arguments) else { return Ok(command) };
    let text = std::fs::read_to_string(&path)
        .map_err(BadConfig::new)
        .with_context(|| format!("read {}", path.to_string_lossy()))?;
    let values = parse(&text).with_context(|| format!("read {}", path.to_string_lossy()))?;
    Ok(with_defaults(command, &values))
}

/// The last `--env-file FILE` or `--env-file=FILE`; what is wrong with the arguments otherwise is for clap to say.
fn file_named_by(arguments: &[OsString]) -> Option<OsString> {
    let mut found = None;
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            break;
        }
        if argument == OPTION {
            found = rest.next().cloned();
        } else if let Some(path) = argument.to_str().and_then(|text| text.strip_prefix("--env-file=")) {
            found = Some(path.into());
        }
    }
    found
}

/// Lines `KEY=value` or `export KEY=value`, with or without quotes; empty lines and lines that begin with `#` are skipped.
fn parse(text: &str) -> Result<BTreeMap<String, String>, BadConfig> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let settings = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let parse_line = |(number, line): (usize, &str)| {
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (key, value) = line.split_once('=').ok_or(BadConfig(format!("line {number} is not KEY=value")))?;
        let value = value.trim();
        let unquoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        Ok((key.trim().to_owned(), unquoted.unwrap_or(value).to_owned()))
    };
    settings.map(parse_line).collect()
}

fn with_defaults(command: Command, values: &BTreeMap<String, String>) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let mut command = command.mut_args(|arg| with_default(arg, values));
    for name in names {
        command = command.mut_subcommand(name, |sub| with_defaults(sub, values));
    }
    command
}

fn with_default(arg: Arg, values: &BTreeMap<String, String>) -> Arg {
    let value = arg.get_env().and_then(|name| values.get(name.to_str()?)).cloned();
    match value {
        // clap keeps defaults for the life of the process; so does this, once per setting.
        Some(value) => arg.default_value(&*value.leak()),
        None => arg,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> Command {
        let url = Arg::new("url").long("url").env("METERWAY_TEST_UNSET_URL");
        Command::new("meterway").subcommand(Command::new("topics").arg(url))
    }

    fn url(values: &BTreeMap<String, String>, arguments: &[&str]) -> Option<String> {
        let matches = with_defaults(command(), values).try_get_matches_from(arguments).unwrap();
        matches.subcommand().unwrap().1.get_one::<String>("url").cloned()
    }

    #[test]
    fn option_wins_over_the_file() {
        let values = parse("# stack\nexport METERWAY_TEST_UNSET_URL='http://a'\n").unwrap();
        assert_eq!(url(&values, &["meterway", "topics"]), Some("http://a".into()));
        assert_eq!(url(&values, &["meterway", "topics", "--url", "http://b"]), Some("http://b".into()));
        assert_eq!(url(&BTreeMap::new(), &["meterway", "topics"]), None);
    }

    #[test]
    fn values_may_hold_equal_signs_and_mistakes_are_named() {
        let values = parse("A = x=y \n\nB=\"q\"").unwrap();
        assert_eq!(values, BTreeMap::from([("A".into(), "x=y".into()), ("B".into(), "q".into())]));
        assert_eq!(parse("A=1\nnonsense").unwrap_err().to_string(), "line 2 is not KEY=value");
    }

    #[test]
    fn file_is_found_in_both_spellings_and_not_behind_the_end_of_options() {
        let of = |arguments: &[&str]| file_named_by(&arguments.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(of(&["meterway", "--env-file", "a"]), Some("a".into()));
        assert_eq!(of(&["meterway", "status", "--env-file=b"]), Some("b".into()));
        assert_eq!(of(&["meterway", "--", "--env-file", "a"]), None);
    }
}
