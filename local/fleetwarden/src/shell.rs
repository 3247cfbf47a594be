//! Variables for a shell: lines that sh, bash and zsh take, `export NAME='value'`, and that are read again here.

use anyhow::{Result, bail};

/// A line that sets a variable in a shell and hands it down to what the shell starts.
pub(crate) fn export(name: &str, value: &str) -> String {
    format!("export {name}={}", quoted(value))
}

/// A value as one word of a shell.
fn quoted(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "%+,-./:@_".contains(c);
    if !value.is_empty() && value.chars().all(is_plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// Reads the lines `NAME=VALUE` of a file of variables, also with `export` before it, and with quotes as a shell takes them.
pub(crate) fn variables(text: &str) -> Result<Vec<(String, String)>> {
    let mut variables = Vec::new();
    for (line, number) in text.lines().map(str::trim).zip(1..) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let Some((name, value)) = line.split_once('=') else { bail!("line {number} is not NAME=VALUE") };
        let Some(value) = unquoted(value) else { bail!("line {number}: a quotation mark is not closed") };
        variables.push((name.to_owned(), value));
    }
    Ok(variables)
}

/// A word of a shell without its quotes: all of it in single or double quotes, or in parts. What a shell would look up,
/// as `$HOME`, stands for itself.
fn unquoted(word: &str) -> Option<String> {
    let mut value = String::with_capacity(word.len());
    let mut quote = None;
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '\\') => value.extend(chars.next()),
            (Some('"'), '\\') => match chars.next()? {
                c @ ('"' | '\\' | '$' | '`') => value.push(c),
                c => value.extend(['\\', c]),
            },
            (_, c) => value.push(c),
        }
    }
    quote.is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const VALUES: [&str; 8] =
        ["", "plain", "http://127.0.0.1:4566", "a b", "it's", "$HOME `id` \\ \"q\" !x", "*?[a]", "ä=ö;#x&y"];

    #[test]
    fn a_shell_that_reads_the_file_hands_the_values_down() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("env");
        let lines = VALUES.iter().zip(0..).map(|(value, n)| export(&format!("FW_{n}"), value) + "\n");
        std::fs::write(&file, lines.collect::<String>()).unwrap();
        for shell in ["sh", "bash", "zsh"] {
            let script = format!(". {}; env", file.display());
            let Ok(output) = Command::new(shell).args(["-c", &script]).output() else {
                assert_ne!(shell, "sh");
                continue;
            };
            let said = String::from_utf8(output.stdout).unwrap();
            for (value, n) in VALUES.iter().zip(0..) {
                let line = format!("FW_{n}={value}");
                assert!(said.lines().any(|said| said == line), "{shell}: {line}\n{said}");
            }
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let lines: String = VALUES.iter().map(|value| export("NAME", value) + "\n").collect();
        let read = variables(&lines).unwrap();
        assert_eq!(read.into_iter().map(|(_, value)| value).collect::<Vec<_>>(), VALUES);
    }

    #[test]
    fn files_of_others_are_read_too() {
        let text = "# a file for docker\nA=1\n\n  export B=\"x \\\"y\\\" \\n\"\nC=a'b c'd\\ e\nD=x=y\n";
        let read = variables(text).unwrap();
        let read: Vec<_> = read.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(read, ["A=1", "B=x \"y\" \\n", "C=ab cd e", "D=x=y"]);
        assert_eq!(variables("A").unwrap_err().to_string(), "line 1 is not NAME=VALUE");
        assert_eq!(variables("A=1\nB='x").unwrap_err().to_string(), "line 2: a quotation mark is not closed");
    }
}
