//! What people are told: an alert, and its text for each protocol that the alert topic delivers by.
//!
//! Before it, a function found something that people should know. After it, Amazon SNS gives each subscriber its own text
//! (`MessageStructure` `json` of `Publish`): [`chat`] has what Slack and Microsoft Teams render and what programs read,
//! [`email`] what people read, [`short`] a text message and the subject of an email. [`record`] is the same for the log.

mod chat;
mod email;
mod insights;
mod kind;
pub mod notices;
mod place;
mod record;
mod short;
mod subject;

use serde::Deserialize;
use serde::Serialize;
use serde_json::json;

pub use self::kind::Kind;
pub use self::place::Link;
pub use self::place::Place;
pub use self::subject::Subject;
use crate::digest::Digest;
use crate::model::severity::AlertSeverity;
use crate::timestamp::Millis;
use crate::untrusted::Text;

/// The longest title, and the longest next step, in characters; and how many steps there are at most. With these, no
/// alert is larger than the 256 KiB that Amazon SNS takes.
const TITLE: usize = 250;
const STEP: usize = 1000;
const STEPS: usize = 10;

/// One alert: what happened, to what, why, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// What the alert is about, in one word for filters.
    pub kind: Kind,
    /// How soon a person should look.
    pub severity: AlertSeverity,
    /// What is the same when the same thing is told again; makes the alert's id.
    pub about: String,
    /// The thread that the alert belongs to: one for each audit.
    pub thread: String,
    /// What happened, in one line of at most 250 characters.
    pub title: Text,
    /// To what and why.
    pub description: Text,
    /// What to do next, most important first.
    pub next_steps: Vec<Text>,
    /// What there is to look at behind it.
    pub subject: Subject,
}

/// An alert as Amazon SNS takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// The subject of an email.
    pub subject: String,
    /// The texts by protocol, as the JSON object that `MessageStructure` `json` asks for. `default` is for all others:
    /// `https`, `http`, `sqs`, `lambda`, `firehose` and `email-json`, which programs read.
    pub message: String,
}

impl Alert {
    /// The alert's id: the same for the same thing told again.
    pub fn id(&self) -> String {
        Digest::new("alert").part(self.kind.as_str()).part(&self.thread).part(&self.about).hex()
    }

    /// What is published at this time, from this place.
    pub fn publication(&self, place: &Place, at: Millis) -> Publication {
        let links = place.links(self, at);
        let texts = json!({
            "default": chat::message(self, place, &links).to_string(),
            "email": email::text(self, place, &links, at),
            "sms": short::sms(self, place),
        });
        Publication { subject: short::subject(self, place), message: texts.to_string() }
    }

    /// The log line that has all of the alert, as one JSON object.
    pub fn log_line(&self, place: &Place, at: Millis) -> String {
        record::line(self, place, &place.links(self, at))
    }
}

#[cfg(test)]
mod tests;
