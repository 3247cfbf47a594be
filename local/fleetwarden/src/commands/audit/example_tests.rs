//! The commands that people are told, in documents, alerts and helps, are commands.

use super::tests::{bare, parsed};
use super::{Audit, Family, examples};
use crate::commands::detect::Detect;

/// The commands of a text: those that stand alone in a line, and those in backticks.
fn commands_of(text: &str) -> Vec<String> {
    let alone = text.lines().filter(|line| line.starts_with("    fleetwarden ")).map(str::trim);
    let quoted = text.split('`').skip(1).step_by(2).filter(|quoted| quoted.starts_with("fleetwarden "));
    let of_family = |command: &&str| {
        ["fleetwarden audit ", "fleetwarden detect "].iter().any(|name| command.starts_with(name))
    };
    alone.chain(quoted).filter(of_family).map(str::to_owned).collect()
}

/// The words of a command as a shell takes them: quoted or not, up to a remark or where its output goes.
fn words(command: &str) -> Vec<&str> {
    let (mut words, mut rest) = (Vec::new(), command.trim_start());
    while !rest.is_empty() && !rest.starts_with(['#', '>']) {
        let (word, after) = match rest.strip_prefix('\'') {
            Some(quoted) => quoted.split_once('\'').unwrap(),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(word);
        rest = after.trim_start();
    }
    words
}

#[test]
fn every_command_that_people_are_told_is_one() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut folders = vec![root.join("docs"), root.join("functions")];
    let mut told = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if !path.extension().is_some_and(|kind| kind == "md" || kind == "snap") {
                continue;
            }
            for command in commands_of(&std::fs::read_to_string(&path).unwrap()) {
                let words = words(&command);
                // A command without its options is a name.
                let is_name = words.len() == 3 || words.get(3) == Some(&"…");
                let words = if is_name { bare(&words[2..3]) } else { words[2..].to_vec() };
                let line = if command.starts_with("fleetwarden audit ") {
                    parsed::<Audit>(&words)
                } else {
                    parsed::<Detect>(&words)
                };
                let line = line.unwrap_or_else(|error| panic!("{}: {command}: {error}", path.display()));
                line.event().unwrap_or_else(|error| panic!("{}: {command}: {error}", path.display()));
                told += 1;
            }
        }
    }
    assert!(told > 20, "{told}");
}

#[test]
fn each_command_has_an_example_that_is_one() {
    for commands in [Audit::COMMANDS, Detect::COMMANDS] {
        for operation in (commands.all)() {
            let example = examples::example(commands.family, operation);
            let lines = example.strip_prefix("Example:\n  ").unwrap();
            assert!(example.lines().all(|line| line.len() <= 78), "{example}");
            let lines = lines.replace(" \\\n", " ");
            let words = &words(&lines)[2..].to_vec();
            let has_file = words.iter().any(|word| word.starts_with("file://"));
            let line =
                if commands.family == "audit" { parsed::<Audit>(words) } else { parsed::<Detect>(words) };
            let line = line.unwrap_or_else(|error| panic!("{example}: {error}"));
            assert!(has_file || line.event().is_ok(), "{example}: {:?}", line.event());
            let is_short = words.len() == 1;
            let needs_nothing = operation.members.iter().all(|member| !member.required);
            assert!(!is_short || needs_nothing, "{example}");
        }
    }
}
