//! What can be wrong with the alarms themselves, and when people are told: when it begins, and every 30 days while it
//! stays so.

use fleetwarden_aws::Error;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::alert::Subject;
use fleetwarden_core::alert::notices::Due;
use fleetwarden_core::alert::notices::Notices;
use fleetwarden_core::model::severity::AlertSeverity;
use fleetwarden_core::text;
use fleetwarden_core::timestamp::Millis;
use serde::Serialize;

use crate::memory::MENDED_SECONDS;
use crate::send::Lost;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "trouble", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(crate) enum Trouble {
    /// No message told of these events. They were sent through.
    Unheard { lost: Lost },
    /// These were sent through by an earlier look, and are still not known.
    Undelivered { lost: Lost },
    /// The alarm queue did not take what was to be sent through.
    Unsent { why: String },
    /// The service no longer lists these alarms, and no message told of their end. They were ended.
    Gone { lost: Lost },
    /// There was no time for all events.
    Behind { seconds: u64 },
    /// A look was refused.
    Blind { operation: String, code: String, message: String },
}

/// Where an alert is raised.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'p> {
    pub(crate) account: &'p str,
    pub(crate) region: &'p str,
}

impl Trouble {
    pub(crate) fn blind(error: &Error) -> Self {
        tracing::warn!(error.name = error.name(), %error, "the watch on alarms cannot see");
        let (operation, code) = match error {
            Error::Aws { operation, code, .. } => ((*operation).to_owned(), code.clone()),
            _ => ("its work".to_owned(), error.name().to_owned()),
        };
        Self::Blind { operation, code, message: error.to_string() }
    }

    /// What it is known by while it lasts.
    fn key(&self) -> String {
        match self {
            Self::Unheard { .. } => "unheard".to_owned(),
            Self::Undelivered { .. } => "undelivered".to_owned(),
            Self::Unsent { .. } => "unsent".to_owned(),
            Self::Gone { .. } => "gone".to_owned(),
            Self::Behind { .. } => "behind".to_owned(),
            Self::Blind { operation, code, .. } => format!("blind {operation} {code}"),
        }
    }

    const fn kind(&self) -> Kind {
        match self {
            Self::Behind { .. } | Self::Blind { .. } => Kind::AlarmWatchBlind,
            _ => Kind::AlarmUnheard,
        }
    }

    const fn severity(&self) -> AlertSeverity {
        match self {
            Self::Undelivered { .. } | Self::Unsent { .. } => AlertSeverity::High,
            Self::Gone { .. } => AlertSeverity::Low,
            // What was sent through is not lost, but the next one will be as late as this.
            _ => AlertSeverity::Medium,
        }
    }

    fn alert(&self, place: Place<'_>, due: Due) -> Alert {
        let (title, description, next_steps) = self.words();
        Alert {
            kind: self.kind(),
            severity: self.severity(),
            about: format!("{} since {}, month {}", self.key(), due.since.0, due.months),
            thread: "alarm watch".into(),
            title,
            description: text!("Account {} in {}. {}", place.account, place.region, description),
            next_steps,
            subject: Subject::Log,
        }
    }
}

/// Takes in what a look saw, and adds the alerts that are due.
pub(crate) fn notice(notices: &mut Notices, troubles: &[Trouble], place: Place<'_>, now: Millis) {
    notices.forget(now, MENDED_SECONDS);
    for trouble in troubles {
        if let Some(due) = notices.notice(&trouble.key(), now) {
            notices.tell(trouble.alert(place, due));
        }
    }
}
