//! `AlarmReport`: the alarms of now and of a period, from the service and the ledger.
//!
//! Each source may fail: what it would have told is then a gap of the report, which says so. On the way: [`events`]
//! (what lasts, what happened) → [`ledger`] (what was done, incidents, models) → [`series`] (what metrics did).

mod events;
mod ledger;
mod series;

use std::time::Duration;

use fleetwarden_aws::Error;
use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::invocation;
use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_commands::Service;
use fleetwarden_commands::calls::answer;
use fleetwarden_commands::sources::Sources;
use fleetwarden_core::report::alarm::AlarmReport;
use fleetwarden_core::timestamp::Millis;
use serde_json::json;
use serde_json::value::RawValue;
use serde_json::value::to_raw_value;

use crate::report::events::Events;
use crate::report::ledger::fill_in;

/// What is kept of the time to write the report down. What has not answered by then is a gap.
const WRITING: Duration = Duration::from_secs(5);
/// How far back a report goes by default, in hours: a week.
const HOURS: i64 = 168;

/// `AlarmReport`.
pub(crate) async fn report(
    service: &Service,
    alarms: &Alarms,
    command: &Command,
    deadline: Millis,
) -> Result<Box<RawValue>, Failure> {
    let now = service.clock.now();
    let sources = Sources::new(service, invocation::time_left(now, deadline, WRITING));
    let hours = command.input.get("hours").and_then(serde_json::Value::as_i64).unwrap_or(HOURS);
    let mut report = AlarmReport {
        account: service.account.clone(),
        region: service.iot.region().clone(),
        since: now.plus_seconds(-hours * 3_600),
        made_at: now,
        ..AlarmReport::default()
    };
    let events = Events::read(&sources, command, &report).await;
    report.active = events.active();
    report.behaviors = events.behaviors();
    report.flapping = events.flapping();
    fill_in(alarms, &sources, &events, &mut report).await;
    report.sum();
    report.series = events.series(&sources, &report).await;
    report.gaps = sources.into_gaps();
    written(&report, command.text("format"))
}

/// The report in a format.
fn written(report: &AlarmReport, format: &str) -> Result<Box<RawValue>, Failure> {
    let (content_type, body) = match format {
        "markdown" => ("text/markdown", report.markdown()),
        "html" => ("text/html", report.html()),
        _ => return to_raw_value(report).map_err(|e| Error::Input(e.to_string()).into()),
    };
    answer(&json!({"contentType": content_type, "body": body}))
}
