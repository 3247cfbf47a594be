//! The policy file as the operator writes it, and everything that can be wrong with it.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de;
use serde_saphyr::Location;
use serde_saphyr::Spanned;
use time::Date;
use time::macros::format_description;
use wildmatch::WildMatch;

use super::Effect;
use super::Mitigate;
use super::Mode;
use super::Report;
use super::Rule;
use super::Suppress;
use super::SuppressEnd;
use super::matcher::Matcher;
use super::severity;
use crate::check;

/// The only version of the language so far.
const VERSION: u32 = 1;
/// A file larger than this is no policy (bytes).
const MAX_BYTES: usize = 1 << 20;

/// Why a policy file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("policy:{line}:{column}: {what}")]
pub struct PolicyError {
    /// The line, from 1; 0 if the error is about the whole file.
    pub line: u64,
    /// The column, from 1.
    pub column: u64,
    /// What is wrong and what is allowed.
    pub what: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: Spanned<u32>,
    #[serde(default)]
    mode: Mode,
    rules: Vec<RuleEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleEntry {
    name: Spanned<String>,
    #[serde(default)]
    r#match: MatchEntry,
    suppress: Option<Spanned<SuppressEntry>>,
    mitigate: Option<Spanned<MitigateEntry>>,
    report: Option<ReportEntry>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct MatchEntry {
    check: Option<Spanned<OneOrMany>>,
    severity: Option<Spanned<OneOrMany>>,
    reason: Option<Spanned<OneOrMany>>,
    resource: Option<Spanned<OneOrMany>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SuppressEntry {
    r#for: Option<Spanned<String>>,
    until: Option<Spanned<String>>,
    indefinitely: Option<Spanned<bool>>,
    reason: Spanned<String>,
    owner: Option<String>,
    ticket: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MitigateEntry {
    actions: Spanned<OneOrMany>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReportEntry {
    #[serde(default)]
    silent: bool,
}

/// One text, or a list of them.
struct OneOrMany(Vec<String>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = OneOrMany;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }
            fn visit_str<E: de::Error>(self, one: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany(vec![one.to_owned()]))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<OneOrMany, A::Error> {
                let mut many = Vec::new();
                while let Some(next) = seq.next_element()? {
                    many.push(next);
                }
                Ok(OneOrMany(many))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Reads a file to its mode and rules.
pub(super) fn read(text: &str) -> Result<(Mode, Vec<Rule>), PolicyError> {
    if text.len() > MAX_BYTES {
        let what = format!("the file has {} bytes; a policy has at most {MAX_BYTES}", text.len());
        return Err(PolicyError { line: 0, column: 0, what });
    }
    let options = serde_saphyr::options! { with_snippet: false };
    let file: File = serde_saphyr::from_str_with_options(text, options).map_err(|e| from_yaml(&e))?;
    if file.version.value != VERSION {
        let found = file.version.value;
        return Err(at(
            &file.version,
            format!("version {found} is not known here; the newest that is known is {VERSION}"),
        ));
    }
    let mut rules: Vec<Rule> = Vec::with_capacity(file.rules.len());
    for entry in file.rules {
        if rules.iter().any(|rule| rule.name == entry.name.value) {
            return Err(at(
                &entry.name,
                format!("a second rule is named '{}'; names are unique", entry.name.value),
            ));
        }
        rules.push(rule(entry)?);
    }
    Ok((file.mode, rules))
}

fn rule(entry: RuleEntry) -> Result<Rule, PolicyError> {
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name = &entry.name.value;
    if name.is_empty() || name.len() > 64 || !name.chars().all(valid) {
        return Err(at(
            &entry.name,
            format!("'{name}' is no rule name: 1 to 64 letters, digits, '-', '_' and '.'"),
        ));
    }
    let matcher = matcher(entry.r#match)?;
    let effect = match (entry.suppress, entry.mitigate, entry.report) {
        (Some(suppress), None, None) => Effect::Suppress(self::suppress(suppress)?),
        (None, Some(mitigate), None) => Effect::Mitigate(self::mitigate(&mitigate.value)?),
        (None, None, Some(report)) => {
            Effect::Report(if report.silent { Report::Silent } else { Report::Alert })
        }
        _ => {
            return Err(at(
                &entry.name,
                format!("rule '{name}' needs exactly one of suppress, mitigate and report"),
            ));
        }
    };
    Ok(Rule { name: entry.name.value, matcher, effect })
}

fn matcher(entry: MatchEntry) -> Result<Matcher, PolicyError> {
    let checks = entry.check.map(|texts| {
        let of_check = |text: &str| {
            let name = check::CheckName::new(text);
            let pattern = text.contains(['*', '?']);
            if pattern || name.is_known() { Ok(WildMatch::new(name.as_str())) } else { Err(no_check(text)) }
        };
        all(&texts, of_check)
    });
    let severities = entry.severity.map(|texts| {
        all(&texts, |t| {
            severity(t).ok_or_else(|| format!("'{t}' is no severity; use CRITICAL, HIGH, MEDIUM or LOW"))
        })
    });
    let patterns = |texts: Option<Spanned<OneOrMany>>| {
        texts.map(|texts| all(&texts, |t| Ok(WildMatch::new(t)))).transpose()
    };
    Ok(Matcher {
        checks: checks.transpose()?,
        severities: severities.transpose()?,
        reasons: patterns(entry.reason)?,
        resources: patterns(entry.resource)?,
    })
}

fn suppress(entry: Spanned<SuppressEntry>) -> Result<Suppress, PolicyError> {
    let end = match (&entry.value.r#for, &entry.value.until, &entry.value.indefinitely) {
        (Some(text), None, None) => SuppressEnd::After(days(text)?),
        (None, Some(text), None) => SuppressEnd::At(date(text)?),
        (None, None, Some(flag)) if flag.value => SuppressEnd::Never,
        _ => {
            let what =
                "suppress needs exactly one of 'for: 90d', 'until: 2027-06-30' and 'indefinitely: true'";
            return Err(at(&entry, what.into()));
        }
    };
    let SuppressEntry { reason, owner, ticket, .. } = entry.value;
    if reason.value.trim().is_empty() {
        return Err(at(&reason, "a suppression needs a reason that people can read".into()));
    }
    Ok(Suppress { end, reason: reason.value, owner, ticket })
}

fn mitigate(entry: &MitigateEntry) -> Result<Mitigate, PolicyError> {
    // The name's pattern and the number of actions a check are those of StartAuditMitigationActionsTask.
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let actions = all(&entry.actions, |name| {
        let fits = !name.is_empty() && name.len() <= 128 && name.chars().all(valid);
        let what =
            || format!("'{name}' is no name of a mitigation action: 1 to 128 letters, digits, '-' and '_'");
        if fits { Ok(name.to_owned()) } else { Err(what()) }
    })?;
    if actions.len() > 5 {
        return Err(at(&entry.actions, format!("{} actions; a check can have at most 5", actions.len())));
    }
    Ok(Mitigate { actions })
}

/// A number of days, as `90d`, to seconds.
fn days(text: &Spanned<String>) -> Result<i64, PolicyError> {
    let digits = text.value.strip_suffix('d').unwrap_or_default();
    match digits.parse::<u16>() {
        Ok(days) if days > 0 => Ok(i64::from(days) * 86_400),
        _ => Err(at(text, format!("'{}' is no duration; write whole days, as 90d", text.value))),
    }
}

/// A day, as `2027-06-30`, to the second since the epoch at which it begins in UTC.
fn date(text: &Spanned<String>) -> Result<i64, PolicyError> {
    Date::parse(&text.value, format_description!("[year]-[month]-[day]"))
        .map(|date| date.midnight().assume_utc().unix_timestamp())
        .map_err(|_| at(text, format!("'{}' is no date; write it as 2027-06-30", text.value)))
}

fn all<T>(
    texts: &Spanned<OneOrMany>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, PolicyError> {
    if texts.value.0.is_empty() {
        return Err(at(texts, "an empty list matches nothing; leave the key out to match all".into()));
    }
    texts.value.0.iter().map(|t| parse(t)).collect::<Result<_, _>>().map_err(|what| at(texts, what))
}

fn no_check(text: &str) -> String {
    // The nearest name has the most words in common, and the fewest besides.
    let distance = |known: &&str| {
        let shared = known.split('_').filter(|word| text.split('_').any(|w| w == *word)).count();
        known.split('_').count() + text.split('_').count() - 2 * shared.min(text.split('_').count())
    };
    let nearest = check::KNOWN.iter().copied().min_by_key(distance).unwrap_or_default();
    format!(
        "'{text}' is no audit check; did you mean '{nearest}'? (a pattern with '*' may name checks to come)"
    )
}

fn at<T>(place: &Spanned<T>, what: String) -> PolicyError {
    located(Some(place.referenced), what)
}

fn from_yaml(error: &serde_saphyr::Error) -> PolicyError {
    located(error.location(), error.to_string())
}

fn located(location: Option<Location>, what: String) -> PolicyError {
    let (line, column) = location.map_or((0, 0), |l| (l.line(), l.column()));
    PolicyError { line, column, what }
}
