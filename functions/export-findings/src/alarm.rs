//! One event of an alarm: one archive object, and one log event in a stream of its own.

use std::time::Duration;

use fleetwarden_aws::Error;
use fleetwarden_aws::archive::Archive;
use fleetwarden_aws::archive::Recorded;
use fleetwarden_aws::archive::alarm_key;
use fleetwarden_aws::archive::one_line;
use fleetwarden_core::message::alarm_record::AlarmExportMessage;

use crate::log::FindingsLog;

/// Writes the event to the archive and then to the log.
///
/// An event can come with another decision: what was archived first stays, and is what the log gets.
pub(crate) async fn export(
    message: &AlarmExportMessage<'_>,
    log: &FindingsLog,
    archive: &Archive,
    time_out: Duration,
) -> Result<(), Error> {
    let stream = format!("alarms/{}", message.name());
    let lines = [one_line(message.alarm_record.get())];
    match archive.record(&alarm_key(message), &lines).await? {
        Recorded::Now => log.write(&stream, &lines, time_out).await,
        Recorded::Before(lines) => {
            let lines: Vec<_> = lines.into_iter().map(Into::into).collect();
            log.write(&stream, &lines, time_out).await
        }
    }
}
