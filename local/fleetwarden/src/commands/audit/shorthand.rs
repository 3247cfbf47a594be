//! Structures as the AWS CLI takes them in short: `a=b,c=[d,e],f={g=h}`.
//!
//! What is read has texts only; [`super::value`] gives them their types. `name@=file://path` is the text of a file. Two
//! things are stricter than there: a name may be there once, and has at least one letter.

use crate::commands::audit::value::file;
use anyhow::{Result, bail, ensure};
use fleetwarden_core::untrusted::shown;
use serde_json::{Map, Value};

/// Reads one structure or map.
pub(super) fn parse(text: &str) -> Result<Value> {
    let mut reader = Reader { text: text.chars().collect(), at: 0 };
    let mut members = Map::new();
    loop {
        let (name, from_file) = reader.name(&members)?;
        let value = reader.values(from_file)?;
        members.insert(name, value);
        if reader.ended() {
            return Ok(Value::Object(members));
        }
        reader.expect(',')?;
    }
}

/// Where in a text the reading is.
struct Reader {
    text: Vec<char>,
    at: usize,
}

impl Reader {
    fn current(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn ended(&self) -> bool {
        self.at >= self.text.len()
    }

    fn spaces(&mut self) {
        while self.current().is_some_and(|c| c.is_ascii_whitespace() || c == '\u{b}') {
            self.at += 1;
        }
    }

    /// Takes a sign with the spaces around it, if it is there.
    fn takes(&mut self, sign: char) -> bool {
        let before = self.at;
        self.spaces();
        if self.current() != Some(sign) {
            self.at = before;
            return false;
        }
        self.at += 1;
        self.spaces();
        true
    }

    fn expect(&mut self, sign: char) -> Result<()> {
        ensure!(self.takes(sign), "{}", self.wanted(&format!("'{sign}'")));
        Ok(())
    }

    /// What is wrong where something else was wanted.
    fn wanted(&self, what: &str) -> String {
        let text: String = self.text.iter().collect();
        let found = match self.current() {
            Some(c) => format!("not '{}'", shown(&c.to_string())),
            None => "not the end".to_owned(),
        };
        format!("at character {} of '{}' there must be {what}, {found}", self.at + 1, shown(&text))
    }

    /// A name and its `=`, and whether the value may be a file's.
    fn name(&mut self, taken: &Map<String, Value>) -> Result<(String, bool)> {
        let begin = self.at;
        while self.current().is_some_and(|c| c.is_ascii_alphanumeric() || "-_.#/:".contains(c)) {
            self.at += 1;
        }
        ensure!(self.at > begin, "{}", self.wanted("a name"));
        let name = self.between(begin, self.at);
        let from_file = self.takes('@');
        self.expect('=')?;
        if taken.contains_key(&name) {
            let text: String = self.text.iter().collect();
            bail!(
                "'{name}' is there twice in '{}': what begins the next structure comes after a space, not a comma",
                shown(&text)
            );
        }
        Ok((name, from_file))
    }

    fn between(&self, begin: usize, end: usize) -> String {
        self.text.get(begin..end).unwrap_or_default().iter().collect()
    }

    /// The value of a name that is in no braces: there a comma may go on with the value or with the next name.
    fn values(&mut self, from_file: bool) -> Result<Value> {
        match self.current() {
            None => Ok("".into()),
            Some('[') => self.list(from_file),
            Some('{') => self.braces(),
            Some(_) => self.commas(from_file),
        }
    }

    fn commas(&mut self, from_file: bool) -> Result<Value> {
        let first = self.word(first_follows, from_file)?.unwrap_or_default();
        let mut all = vec![Value::from(first.clone())];
        let mut comma = self.at;
        while self.takes(',') {
            let Some(next) = self.word(second_follows, from_file)? else {
                ensure!(!self.ended(), "{}", self.wanted("a value"));
                self.at = comma;
                break;
            };
            self.spaces();
            if !self.ended() && self.current() != Some(',') {
                // What was read is the next name.
                self.at = comma;
                break;
            }
            all.push(next.into());
            comma = self.at;
        }
        Ok(if all.len() == 1 { first.into() } else { all.into() })
    }

    fn within(&mut self, from_file: bool) -> Result<Value> {
        match self.current() {
            Some('[') => self.list(from_file),
            Some('{') => self.braces(),
            _ => Ok(self.word(first_follows, from_file)?.unwrap_or_default().into()),
        }
    }

    fn list(&mut self, from_file: bool) -> Result<Value> {
        self.expect('[')?;
        let mut all = Vec::new();
        while !self.takes(']') {
            all.push(self.within(from_file)?);
            self.spaces();
            if self.current() != Some(']') {
                self.expect(',')?;
            }
        }
        Ok(all.into())
    }

    fn braces(&mut self) -> Result<Value> {
        self.expect('{')?;
        let mut members = Map::new();
        while !self.takes('}') {
            let (name, from_file) = self.name(&members)?;
            let value = self.within(from_file)?;
            members.insert(name, value);
            self.spaces();
            if self.current() != Some('}') {
                self.expect(',')?;
            }
        }
        Ok(members.into())
    }

    /// A word in quotes or without, where one begins here.
    fn word(&mut self, follows: fn(char) -> bool, from_file: bool) -> Result<Option<String>> {
        let word = match self.current() {
            Some(quote @ ('\'' | '"')) => Some(self.quoted(quote)?),
            _ => self.plain(follows),
        };
        match word {
            Some(word) if from_file => Ok(Some(file(&word)?.unwrap_or(word))),
            word => Ok(word),
        }
    }

    fn plain(&mut self, follows: fn(char) -> bool) -> Option<String> {
        let begin = self.at;
        loop {
            let fits = if self.at == begin { begins } else { follows };
            match self.current() {
                Some('\\') if self.text.get(self.at + 1) == Some(&',') => self.at += 2,
                Some(c) if fits(c) => self.at += 1,
                _ => break,
            }
        }
        (self.at > begin).then(|| self.between(begin, self.at).replace("\\,", ",").trim_end().to_owned())
    }

    fn quoted(&mut self, quote: char) -> Result<String> {
        let begin = self.at + 1;
        let (mut at, mut escaped, mut close) = (begin, None, None);
        while let Some(c) = self.text.get(at) {
            if *c == '\\' && self.text.get(at + 1) == Some(&quote) {
                escaped = Some(at + 1);
                at += 2;
            } else if *c == quote {
                close = Some(at);
                break;
            } else {
                at += 1;
            }
        }
        // A backslash before the last quote is one that stands for itself.
        let Some(close) = close.or(escaped) else {
            bail!("{}: its quote does not end", self.wanted("a whole word"));
        };
        self.at = close + 1;
        let word = self.between(begin, close);
        Ok(word.replace(&format!("\\{quote}"), &quote.to_string()).replace("\\\\", "\\"))
    }
}

/// What a word begins with.
fn begins(c: char) -> bool {
    c > ' ' && !matches!(c, '"' | '\'' | ',' | '=' | '[' | '{')
}

/// What a first word goes on with: an `=` is part of it.
fn first_follows(c: char) -> bool {
    (c.is_whitespace() || c > ' ') && !matches!(c, '"' | '\'' | ',' | ']' | '}')
}

/// What a word after a comma goes on with: an `=` makes it the next name.
fn second_follows(c: char) -> bool {
    (c.is_whitespace() || c > ' ') && !matches!(c, '"' | '\'' | ',' | '=')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn structures_are_read_as_the_aws_cli_reads_them() {
        for (text, value) in [
            ("a=b", json!({"a": "b"})),
            ("a=b,c=d", json!({"a": "b", "c": "d"})),
            ("a=b, c = d ", json!({"a": "b", "c": "d"})),
            ("a=b,c", json!({"a": ["b", "c"]})),
            ("a=b,c,d=e,f", json!({"a": ["b", "c"], "d": ["e", "f"]})),
            ("a=", json!({"a": ""})),
            ("a=,b=c", json!({"a": "", "b": "c"})),
            ("a=b=c", json!({"a": "b=c"})),
            ("a=[b, c],d=[]", json!({"a": ["b", "c"], "d": []})),
            ("a=[{b=c},{b=d}]", json!({"a": [{"b": "c"}, {"b": "d"}]})),
            ("a={b={c=d,e=[f]},g=h},i={}", json!({"a": {"b": {"c": "d", "e": ["f"]}, "g": "h"}, "i": {}})),
            ("a='b, c=d',e=\"f'g\"", json!({"a": "b, c=d", "e": "f'g"})),
            ("a='it\\'s',b=\"\\\\ \\\"c\\\"\"", json!({"a": "it's", "b": "\\ \"c\""})),
            ("a='b\\'", json!({"a": "b\\"})),
            ("a=b\\,c,d=e", json!({"a": "b,c", "d": "e"})),
            (
                "a=arn:aws:iot:x:1:y/z,b={c=arn:aws:s}",
                json!({"a": "arn:aws:iot:x:1:y/z", "b": {"c": "arn:aws:s"}}),
            ),
            ("a=b c,d=é😀", json!({"a": "b c", "d": "é😀"})),
        ] {
            assert_eq!(parse(text).unwrap(), value, "{text}");
        }
    }

    #[test]
    fn the_text_of_a_file_is_a_value() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        std::fs::write(&path, "a, b=c").unwrap();
        let path = path.display();
        assert_eq!(
            parse(&format!("a@=file://{path},b={{c@=d}}")).unwrap(),
            json!({"a": "a, b=c", "b": {"c": "d"}})
        );
        assert_eq!(parse("a=file://x").unwrap(), json!({"a": "file://x"}));
        assert!(parse("a@=file:///no/such").unwrap_err().to_string().contains("/no/such"));
    }

    #[test]
    fn what_is_broken_is_told_with_its_place() {
        let told = [
            "",
            "a",
            "a=b,",
            "a=b,=c",
            "a=[b",
            "a={b=c",
            "a={b}",
            "a='b",
            "a=b,c=d,a=e",
            "a={b=c,b=d}",
            "a=[b]c",
            "a=\u{1b}[2J,b",
        ]
        .map(|text| parse(text).map_or_else(|error| error.to_string(), |value| value.to_string()));
        insta::assert_snapshot!(told.join("\n"));
    }
}
