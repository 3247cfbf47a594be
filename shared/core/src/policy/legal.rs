//! The names that AWS can have given, of each kind that a policy speaks of, and what to write instead of a pattern that
//! can match none of them.
//!
//! Sources: the patterns and lengths of the AWS IoT API reference (`ThingName`, `ThingGroupName`, `ThingTypeName`,
//! `AttributeValue`, `CertificateId`, `PolicyName`, `PolicyVersionId`, `RoleAlias`, `AwsAccountId`), the
//! client id of `SendDirectMessage`, and `IdentityPoolId` of the Amazon Cognito API reference. Names that a person gives
//! differ by large and small letters; ids of certificates are written in small ones.

use std::fmt::Write as _;

use super::Place;
use super::glob::Glob;
use super::shape::Part;
use super::shape::Part::Run;
use super::shape::Part::Text;
use super::shape::admits;
use crate::ids::names::in_region;
use crate::ids::names::in_thing_name;
use crate::model::resource::ResourceType;

/// What a pattern is to match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Thing,
    ThingGroup,
    ThingType,
    AttributeValue,
    Certificate,
    Policy,
    /// By `name:version`.
    PolicyVersion,
    ClientId,
    Account,
    Region,
    RoleAlias,
    IdentityPool,
    Issuer,
}

impl From<ResourceType> for Kind {
    fn from(of: ResourceType) -> Self {
        match of {
            ResourceType::DeviceCertificate | ResourceType::CaCertificate => Self::Certificate,
            ResourceType::IotPolicy => Self::PolicyVersion,
            ResourceType::CognitoIdentityPool => Self::IdentityPool,
            ResourceType::ClientId => Self::ClientId,
            ResourceType::AccountSettings => Self::Account,
            ResourceType::RoleAlias => Self::RoleAlias,
            ResourceType::IssuerCertificate => Self::Issuer,
        }
    }
}

fn digit(c: char) -> bool {
    c.is_ascii_digit()
}

fn hex(c: char) -> bool {
    matches!(c, '0'..='9' | 'a'..='f')
}

fn word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn in_policy_name(c: char) -> bool {
    word(c) || "+=,.@-".contains(c)
}

const NAME: &[Part<'_>] = &[Run(in_thing_name, 1, Some(128))];
const POLICY_NAME: Part<'_> = Run(in_policy_name, 1, Some(128));
const ACCOUNT: Part<'_> = Run(digit, 12, Some(12));
const REGION: Part<'_> = Run(in_region, 1, Some(32));
const PARTITION: Part<'_> = Run(|c| c.is_ascii_alphabetic() || c == '-', 0, None);

impl Kind {
    /// The shape of its names.
    const fn shape(self) -> &'static [Part<'static>] {
        match self {
            Self::Thing | Self::ThingGroup | Self::ThingType => NAME,
            Self::AttributeValue => &[Run(|c| word(c) || ".,@/:#=[]-".contains(c), 0, Some(800))],
            Self::Certificate => &[Run(hex, 64, Some(64))],
            Self::Policy => &[POLICY_NAME],
            Self::PolicyVersion => &[POLICY_NAME, Text(":"), Run(digit, 1, None)],
            Self::ClientId => &[Run(|c| c != '$', 1, Some(1)), Run(|_| true, 0, Some(127))],
            Self::Account => &[ACCOUNT],
            Self::Region => &[REGION],
            Self::RoleAlias => &[
                Text("arn:aws"),
                PARTITION,
                Text(":iot:"),
                REGION,
                Text(":"),
                ACCOUNT,
                Text(":rolealias/"),
                Run(|c| word(c) || "=,@-".contains(c), 1, Some(128)),
            ],
            // A region, and a GUID: at most 55 together.
            Self::IdentityPool => &[
                Run(|c| word(c) || c == '-', 1, Some(18)),
                Text(":"),
                Run(|c| hex(c) || c == '-', 36, Some(36)),
            ],
            // Its serial number, its subject or its id, whichever the finding has.
            Self::Issuer => &[Run(|c| c == ' ' || c.is_ascii_graphic(), 1, Some(1000))],
        }
    }

    /// What its names are called in a message.
    const fn noun(self) -> &'static str {
        match self {
            Self::Thing => "thing",
            Self::ThingGroup => "thing group",
            Self::ThingType => "thing type",
            Self::AttributeValue => "value of an attribute",
            Self::Certificate => "certificate",
            Self::Policy => "policy",
            Self::PolicyVersion => "policy version",
            Self::ClientId => "client id",
            Self::Account => "account",
            Self::Region => "region",
            Self::RoleAlias => "role alias",
            Self::IdentityPool => "identity pool",
            Self::Issuer => "issuer",
        }
    }

    /// What its names are made of.
    const fn rule(self) -> &'static str {
        match self {
            Self::Thing | Self::ThingGroup | Self::ThingType => {
                "a name is 1 to 128 letters, digits, ':', '_' and '-'"
            }
            Self::AttributeValue => "a value is up to 800 letters, digits and any of '_.,@/:#=[]-'",
            Self::Certificate => "its id is 64 of the digits 0-9 and a-f",
            Self::Policy => "a name is 1 to 128 letters, digits and any of '_+=,.@-'",
            Self::PolicyVersion => "it is written 'name:version', as 'base:3'",
            Self::ClientId => "it is 1 to 128 characters and does not begin with '$'",
            Self::Account => "it is 12 digits, in quotes so that no zero is lost",
            Self::Region => "it is small letters, digits and '-', as 'eu-west-1'",
            Self::RoleAlias => "it is written as its ARN, 'arn:aws:iot:<region>:<account>:rolealias/<name>'",
            Self::IdentityPool => "its id is a region, ':' and a GUID",
            Self::Issuer => "it is 1 to 1000 printable ASCII characters",
        }
    }

    /// Whether a pattern matches some name of the kind.
    pub(super) fn admits(self, pattern: &str) -> bool {
        admits(self.shape(), pattern)
    }

    /// What somebody may have meant who wrote a text that is no name of the kind: by the kind's own habits.
    fn rewrite(self, text: &str) -> String {
        // As groups are shown in a tree: by their path.
        let tail = || {
            let tail = text.rsplit('/').next().filter(|tail| !tail.trim_matches('*').is_empty());
            tail.unwrap_or(text).to_owned()
        };
        match self {
            // As OpenSSL prints a fingerprint, which is the id.
            Self::Certificate => text.trim_start_matches("0x").replace([':', ' '], "").to_lowercase(),
            Self::Account => {
                let digits = text.replace(['-', ' '], "");
                if digits.len() > 8 && digits.chars().all(digit) { format!("{digits:0>12}") } else { digits }
            }
            Self::Region => text.to_lowercase().replace(['_', ' '], "-"),
            Self::Policy => text.split(':').next().unwrap_or_default().to_owned(),
            Self::PolicyVersion => format!("{}:*", text.split(':').next().unwrap_or_default()),
            Self::RoleAlias if !text.contains(':') => format!("*:rolealias/{text}"),
            Self::IdentityPool if !text.contains(':') => format!("*:{text}"),
            Self::Thing | Self::ThingGroup | Self::ThingType => tail(),
            _ => text.to_owned(),
        }
    }
}

/// Why a pattern matches no name of any of these kinds, and what to write instead; none if it may match one.
pub(super) fn impossible(pattern: &str, kinds: &[Kind]) -> Option<String> {
    if kinds.is_empty() || kinds.iter().any(|kind| kind.admits(pattern)) {
        return None;
    }
    let nouns: Vec<_> = kinds.iter().map(|kind| kind.noun()).collect();
    let mut what = format!("'{pattern}' can match no {}: ", nouns.join(" and no "));
    if let [only] = kinds {
        what += only.rule();
    } else {
        let rules = kinds.iter().map(|kind| format!("of a {}, {}", kind.noun(), kind.rule()));
        what += &rules.collect::<Vec<_>>().join("; ");
    }
    // One that looks like another would be looked for in vain.
    if let Some(strange) = pattern.chars().find(|c| !c.is_ascii_graphic() && *c != ' ') {
        let _ = write!(what, " (it has U+{:04X} in it)", u32::from(strange));
    }
    Some(what + &advice(pattern, kinds).unwrap_or_default())
}

/// Whether a pattern matches some version of a policy, by `name:version`.
pub(super) fn is_of_policy(pattern: &str, name: &str) -> bool {
    admits(&[Text(name), Text(":"), Run(digit, 1, None)], pattern)
}

/// What to say of a pattern that is written as one kind of name is, and can only match another kind of which any text
/// can be a name; none if it is not.
pub(super) fn unlikely(pattern: &str, kinds: &[Kind]) -> Option<String> {
    let any = |kind: &Kind| matches!(kind, Kind::ClientId | Kind::Issuer);
    let others: Vec<Kind> = kinds.iter().copied().filter(|kind| !any(kind)).collect();
    let written = pattern.starts_with("arn:") || pattern.len() == 64;
    if !written || !kinds.contains(&Kind::ClientId) || others.iter().any(|kind| kind.admits(pattern)) {
        return None;
    }
    let advice = advice(pattern, &others)?;
    Some(format!("'{pattern}' can only match a client id, and no other resource{advice}"))
}

/// What would match at least as much as a text that is written as other tools write patterns, ready to follow a message.
pub(super) fn wider(text: &str, kinds: &[Kind]) -> String {
    let instead = kinds.iter().find_map(|kind| instead(text, *kind)).unwrap_or_default();
    if let [one] = instead.as_slice() { format!(", or '{one}'") } else { String::new() }
}

/// What would match instead, ready to follow a message.
fn advice(pattern: &str, kinds: &[Kind]) -> Option<String> {
    let instead = kinds.iter().find_map(|kind| instead(pattern, *kind))?;
    let quoted: Vec<_> = instead.iter().map(|text| format!("'{text}'")).collect();
    Some(match quoted.as_slice() {
        [one] => format!("; write {one}"),
        many => format!("; write a list: [{}]", many.join(", ")),
    })
}

/// The patterns that somebody may have meant who wrote this one. Each step takes one habit away, until all that is left
/// can match.
fn instead(pattern: &str, kind: Kind) -> Option<Vec<String>> {
    let steps: [fn(&str, Kind) -> Vec<String>; 6] = [
        |text, _| vec![plain(text)],
        |text, _| list(text),
        |text, _| alternatives(text),
        |text, kind| vec![of_arn(text, kind)],
        |text, _| vec![glob_of(text)],
        |text, kind| vec![kind.rewrite(text)],
    ];
    let is_good = |text: &String| Glob::new(text, Place::default()).is_ok() && kind.admits(text);
    let mut texts = vec![pattern.to_owned()];
    for step in steps {
        texts = texts.iter().flat_map(|text| step(text, kind)).collect();
        if !texts.is_empty() && texts.iter().all(is_good) {
            return Some(texts);
        }
    }
    None
}

/// A text without blanks around it, and in ASCII where a word processor was at work.
fn plain(text: &str) -> String {
    let ascii = |c: char| match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' => Some('-'),
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0),
        '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}' => None,
        'а' => Some('a'),
        'е' => Some('e'),
        'о' => Some('o'),
        'р' => Some('p'),
        'с' => Some('c'),
        'х' => Some('x'),
        'у' => Some('y'),
        'і' => Some('i'),
        c => Some(c),
    };
    text.chars().filter_map(ascii).collect::<String>().trim().to_owned()
}

/// What stands between commas.
fn list(text: &str) -> Vec<String> {
    text.split([',', ';']).map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// What a regular expression allows by `(a|b)`, without its anchors: with one of them alone, the other end is open.
fn alternatives(text: &str) -> Vec<String> {
    let open = |text: &str| {
        let (inner, begins) = text.strip_prefix('^').map_or((text, false), |text| (text, true));
        match (begins, inner.strip_suffix('$')) {
            (true, None) => format!("{inner}.*"),
            (false, Some(inner)) => format!(".*{inner}"),
            (_, closed) => closed.unwrap_or(inner).to_owned(),
        }
    };
    let text = open(text);
    let group = text.split_once('(').and_then(|(head, rest)| Some((head, rest.split_once(')')?)));
    let (head, any, tail) = group.map_or(("", text.as_str(), ""), |(head, (any, tail))| (head, any, tail));
    any.split('|').map(|one| format!("{head}{}{tail}", one.trim_start_matches("?:"))).collect()
}

/// The part of an ARN that is a name of this kind.
fn of_arn(text: &str, kind: Kind) -> String {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let part = match (parts.as_slice(), kind) {
        (["arn", _, _, region, ..], Kind::Region) => region,
        (["arn", _, _, _, account, ..], Kind::Account) => account,
        // A role is not the alias of a role.
        (["arn", _, "iam", ..], Kind::RoleAlias) => text,
        (["arn", _, _, _, _, resource], _) => resource.split_once('/').map_or(*resource, |(_, name)| name),
        _ => text,
    };
    part.to_owned()
}

/// A regular expression as a pattern of `*` and `?` that matches at least the same.
fn glob_of(text: &str) -> String {
    let mut glob = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let atom = match c {
            '\\' => match rest.next() {
                Some('d' | 'w' | 's' | 'D' | 'W' | 'S') => '?',
                Some(escaped) => escaped,
                None => break,
            },
            '.' => '?',
            '[' => {
                let _ = rest.by_ref().find(|c| *c == ']');
                '?'
            }
            c => c,
        };
        let class = atom == '?' && c != '?';
        let many = rest.next_if(|next| matches!(next, '+') || class && *next == '*').is_some();
        match (many, class) {
            (true, true) => glob.push('*'),
            (true, false) => glob.extend([atom, '*']),
            (false, _) => glob.push(atom),
        }
    }
    while glob.contains("**") {
        glob = glob.replace("**", "*");
    }
    glob
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    /// A kind, and a legal name of it.
    fn named() -> impl Strategy<Value = (Kind, String)> {
        let names: [(Kind, &str); 12] = [
            (Kind::Thing, "[a-zA-Z0-9:_-]{1,128}"),
            (Kind::ThingGroup, "[a-zA-Z0-9:_-]{1,128}"),
            (Kind::AttributeValue, r"[a-zA-Z0-9_.,@/:#=\[\]-]{1,800}"),
            (Kind::Certificate, "[0-9a-f]{64}"),
            (Kind::Policy, "[a-zA-Z0-9_+=,.@-]{1,128}"),
            (Kind::PolicyVersion, "[a-zA-Z0-9_+=,.@-]{1,128}:[0-9]{1,4}"),
            (Kind::ClientId, "[^$].{0,127}"),
            (Kind::Account, "[0-9]{12}"),
            (Kind::Region, "(eu-west|us-gov-east|ap-southeast)-[1-9]"),
            (
                Kind::RoleAlias,
                "arn:aws(-cn|-us-gov)?:iot:eu-west-1:[0-9]{12}:rolealias/[a-zA-Z0-9_=,@-]{1,128}",
            ),
            (
                Kind::IdentityPool,
                "(eu-west|us-gov-east)-1:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            ),
            (Kind::Issuer, "[ -~]{1,200}"),
        ];
        select(names.to_vec()).prop_flat_map(|(kind, name)| (Just(kind), name.prop_map(|name| name)))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn a_pattern_made_of_a_legal_name_is_never_called_impossible(
            (kind, name) in named(), fates in proptest::collection::vec(0..9_u8, 1..20),
        ) {
            let of = |(c, fate): (char, &u8)| match fate {
                0 => "?".to_owned(),
                1 => "*".to_owned(),
                2 => format!("{c}*"),
                _ => c.to_string(),
            };
            let pattern: String = name.chars().zip(fates.iter().cycle()).map(of).collect();
            prop_assert_eq!(impossible(&pattern, &[kind]), None);
        }

        #[test]
        fn what_is_called_impossible_matches_no_legal_name(
            (kind, name) in named(), pattern in "[a-c0-2:*?.,/$ -]{1,8}",
        ) {
            if impossible(&pattern, &[kind]).is_some() {
                let glob = Glob::new(&pattern, Place::default()).unwrap();
                prop_assert!(!glob.matches(&name), "{pattern} matches {name}");
            }
        }

        #[test]
        fn what_is_advised_can_match((kind, _) in named(), pattern in "\\PC{1,40}") {
            if let Some(instead) = instead(&pattern, kind) {
                prop_assert!(instead.iter().all(|text| kind.admits(text)), "{instead:?}");
            }
        }
    }
}
