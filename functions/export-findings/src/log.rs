//! The findings log: each finding one event, written once although its message may be delivered often.
//!
//! Every page has a log stream of its own, and the delivery that creates the stream writes the page: two deliveries
//! cannot both create it. A delivery that finds the stream there knows that another one began. As long as that one
//! can be alive, or an answer that it did not get can still take effect, this one comes again later; after that, it
//! claims the stream in the ledger, reads it and adds what is missing. So the normal path costs two calls and no table.
//!
//! Events are never sent twice without reading the stream in between: the SDK's own retry would append them again.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::config;
use aws_sdk_cloudwatchlogs::operation::create_log_stream::CreateLogStreamError;
use aws_sdk_cloudwatchlogs::types::InputLogEvent;
use aws_sdk_cloudwatchlogs::types::RejectedLogEventsInfo;
use fleetwarden_aws::Error;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::retries::NoSecondAppend;
use fleetwarden_core::digest::Digest;
use fleetwarden_core::pack;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::shown;
use serde::Deserialize;

/// How long an invocation lives at least: the time-out that the template gives.
const TIME_OUT: Duration = Duration::from_mins(1);
/// The largest event, in bytes: what a request holds, without what the service counts for each event.
const MAX_EVENT: usize = pack::LOGS.bytes - pack::LOGS.overhead;

/// The log group of the findings.
pub struct FindingsLog {
    client: Client,
    group: String,
    ledger: Ledger,
    clock: Clock,
}

/// The member of an event that says which finding, or which alarm, it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'e> {
    #[serde(borrow, alias = "violationId")]
    finding_id: Cow<'e, str>,
}

impl FindingsLog {
    /// The findings log in this log group. The ledger keeps two deliveries from completing the same stream.
    pub const fn new(client: Client, group: String, ledger: Ledger, clock: Clock) -> Self {
        Self { client, group, ledger, clock }
    }

    /// The log group's name.
    pub(crate) fn group(&self) -> &str {
        &self.group
    }

    /// Writes the findings of a page to its stream, each once.
    ///
    /// # Errors
    /// If the service does not take them, [`Error::Later`] if another delivery may be writing, and
    /// [`Error::Input`] for events that it never takes: then all others are written.
    pub(crate) async fn write(
        &self,
        stream: &str,
        events: &[Cow<'_, str>],
        time_out: Duration,
    ) -> Result<(), Error> {
        if self.create(stream).await? {
            return self.put(stream, &events.iter().collect::<Vec<_>>()).await;
        }
        let until = self.created(stream).await?.plus(time_out.max(TIME_OUT));
        let now = self.clock.now();
        if now <= until {
            return Err(Error::Later(format!(
                "another delivery may be writing the log stream {stream} until {}",
                until.rfc3339()
            )));
        }
        // The claim is one of what is to be there: the same page, exported again with other findings, is read again. The same
        // findings with other decisions are not: two deliveries would both find them missing.
        let content = Digest::new("log stream").parts(events.iter().map(|event| identity(event))).hex();
        let lease = now.plus(time_out);
        self.ledger
            .run_once(&keys::log_stream(stream, &content), now, lease, self.complete(stream, events))
            .await
            .map(drop)
    }

    /// Adds what is missing to a stream whose writer has ended.
    async fn complete(&self, stream: &str, events: &[Cow<'_, str>]) -> Result<(), Error> {
        let there = self.identities(stream).await?;
        let missing: Vec<_> = events.iter().filter(|event| !there.contains(identity(event))).collect();
        self.put(stream, &missing).await
    }

    /// Creates a stream; says whether it was not there.
    async fn create(&self, stream: &str) -> Result<bool, Error> {
        let create = self.client.create_log_stream().log_group_name(&self.group).log_stream_name(stream);
        match create.send().await {
            Ok(_) => Ok(true),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(CreateLogStreamError::is_resource_already_exists_exception) =>
            {
                Ok(false)
            }
            Err(error) => Err(Error::aws("CreateLogStream", stream)(error)),
        }
    }

    /// When a stream was created. Streams are listed by name, so the first with this prefix is the one.
    async fn created(&self, stream: &str) -> Result<Millis, Error> {
        let describe = self.client.describe_log_streams().log_group_name(&self.group);
        let found = describe.log_stream_name_prefix(stream).limit(1).send().await;
        let found = found.map_err(Error::aws("DescribeLogStreams", stream))?;
        let found = found.log_streams().iter().find(|found| found.log_stream_name() == Some(stream));
        let created = found.and_then(aws_sdk_cloudwatchlogs::types::LogStream::creation_time);
        created.map(Millis).ok_or_else(|| {
            Error::Later(format!(
                "the log stream {stream} exists, but DescribeLogStreams does not list it yet"
            ))
        })
    }

    /// What a stream holds: the ids of its findings.
    async fn identities(&self, stream: &str) -> Result<BTreeSet<String>, Error> {
        let (mut there, mut token) = (BTreeSet::new(), None);
        loop {
            let get = self.client.get_log_events().log_group_name(&self.group).log_stream_name(stream);
            let got = get.start_from_head(true).set_next_token(token.clone()).send().await;
            let got = got.map_err(Error::aws("GetLogEvents", stream))?;
            there.extend(
                got.events().iter().filter_map(|event| event.message()).map(|m| identity(m).to_owned()),
            );
            // The end of a stream is said by the same token again, and by nothing else.
            if got.next_forward_token.is_none() || got.next_forward_token == token {
                return Ok(there);
            }
            token = got.next_forward_token;
        }
    }

    /// Adds events to a stream, in as few calls as the limits allow. The time of an event is now: what has
    /// been found is older than the service takes if it waited for two weeks.
    async fn put(&self, stream: &str, events: &[&Cow<'_, str>]) -> Result<(), Error> {
        let (fitting, large): (Vec<_>, Vec<_>) = events.iter().copied().partition(|e| e.len() <= MAX_EVENT);
        let mut refused: Vec<String> = large
            .iter()
            .map(|event| {
                let (id, bytes) = (shown(identity(event)), event.len());
                format!("finding {id} has {bytes} bytes; a log event takes {MAX_EVENT}")
            })
            .collect();
        for run in pack::runs(&fitting, pack::LOGS, |event| event.len()) {
            let now = self.clock.now().0;
            let event = |text: &&Cow<'_, str>| InputLogEvent::builder().timestamp(now).message(text.as_ref());
            let events = run.iter().map(|text| event(text).build()).collect::<Result<Vec<_>, _>>();
            let events = events.map_err(|e| Error::Input(e.to_string()))?;
            let put = self.client.put_log_events().log_group_name(&self.group).log_stream_name(stream);
            let put = put.set_log_events(Some(events)).customize();
            let put =
                put.config_override(config::Builder::new().retry_classifier(NoSecondAppend)).send().await;
            let put = put.map_err(Error::aws("PutLogEvents", stream))?;
            refused.extend(put.rejected_log_events_info().and_then(|info| rejected(info, run.len())));
        }
        if refused.is_empty() { Ok(()) } else { Err(not_taken(stream, &refused)) }
    }
}

/// The page is parked as a whole and loses nothing by it: delivered again, it adds only what is missing.
fn not_taken(stream: &str, refused: &[String]) -> Error {
    Error::Input(format!("PutLogEvents on {stream}: {}; all other events are written", refused.join("; ")))
}

/// How many events of a request the service did not take, in words. It gives places in the list: those before
/// one are too old or past the group's retention, those from one on too new.
fn rejected(info: &RejectedLogEventsInfo, of: usize) -> Option<String> {
    let place = |at: i32| usize::try_from(at).unwrap_or(0).min(of);
    let new = info.too_new_log_event_start_index().map_or(0, |at| of - place(at));
    let old = info.too_old_log_event_end_index().map_or(0, place);
    let expired = info.expired_log_event_end_index().map_or(0, place);
    let counts = [(new, "too new"), (old, "too old"), (expired, "past the log group's retention")];
    let words: Vec<String> =
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, why)| format!("{n} {why}")).collect();
    (!words.is_empty()).then(|| format!("of {of} events not taken: {}", words.join(", ")))
}

/// Which finding or alarm an event is. What has no id that can be read is itself.
fn identity(event: &str) -> &str {
    match serde_json::from_str(event) {
        Ok(Identity { finding_id: Cow::Borrowed(id) }) => id,
        _ => event,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_taken_is_counted() {
        let info = |new: Option<i32>, old: Option<i32>, expired: Option<i32>| {
            let info = RejectedLogEventsInfo::builder();
            let info = info.set_too_new_log_event_start_index(new).set_too_old_log_event_end_index(old);
            rejected(&info.set_expired_log_event_end_index(expired).build(), 10)
        };
        assert_eq!(info(None, None, None), None);
        assert_eq!(info(Some(10), Some(0), Some(-1)), None);
        insta::assert_snapshot!(info(Some(7), Some(2), Some(99)).unwrap());
    }

    #[test]
    fn an_event_is_known_by_its_finding_or_by_itself() {
        assert_eq!(identity(r#"{"kind":"finding","findingId":"f-1","x":1}"#), "f-1");
        assert_eq!(identity(r#"{"kind":"alarm","violationId":"v-1","x":1}"#), "v-1");
        for odd in ["{}", "no json", r#"{"findingId":7}"#, r#"{"findingId":"\u0041"}"#, ""] {
            assert_eq!(identity(odd), odd);
        }
    }
}
