//! How bad a finding is, and how soon people should look at an alert.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

use crate::untrusted::Piece;
use crate::untrusted::Text;

/// How bad a finding is (`AuditFindingSeverity`), worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// Needs action now.
    Critical,
    /// Needs action soon.
    High,
    /// Needs a plan.
    Medium,
    /// Good to know.
    Low,
    /// The service said nothing, or a word that is new.
    #[serde(other)]
    Unknown,
}

impl Severity {
    /// All of them, worst first. A severity's place here is also its code in a history record.
    pub const ALL: [Self; 5] = [Self::Critical, Self::High, Self::Medium, Self::Low, Self::Unknown];

    /// From the API's word.
    pub fn parse(word: &str) -> Self {
        match word {
            "CRITICAL" => Self::Critical,
            "HIGH" => Self::High,
            "MEDIUM" => Self::Medium,
            "LOW" => Self::Low,
            _ => Self::Unknown,
        }
    }

    /// The API's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "CRITICAL",
            Self::High => "HIGH",
            Self::Medium => "MEDIUM",
            Self::Low => "LOW",
            Self::Unknown => "UNKNOWN",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Piece for Severity {
    fn text(&self) -> Text {
        Text::made(self.to_string())
    }
}

/// How soon a person should look. Its word is the message attribute `severity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum AlertSeverity {
    /// Now.
    Critical,
    /// Today.
    High,
    /// This week.
    Medium,
    /// When convenient.
    Low,
}

impl AlertSeverity {
    /// The word for filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

impl From<Severity> for AlertSeverity {
    fn from(finding: Severity) -> Self {
        match finding {
            Severity::Critical => Self::Critical,
            Severity::High => Self::High,
            // What has no severity is not known to be harmless.
            Severity::Medium | Severity::Unknown => Self::Medium,
            Severity::Low => Self::Low,
        }
    }
}
