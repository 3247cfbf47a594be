//! One event of an alarm: one log event in a stream of its own, and one archive object.

use std::borrow::Cow;
use std::time::Duration;

use fleetwarden_aws::Error;
use fleetwarden_aws::archive;
use fleetwarden_aws::archive::Archive;
use fleetwarden_core::message::alarm_record::AlarmExportMessage;
use futures_util::future;

use crate::log::FindingsLog;
use crate::page::gzip;
use crate::page::one_line;

/// Writes the event to the log and to the archive, side by side: neither waits for the other.
pub(crate) async fn export(
    message: &AlarmExportMessage<'_>,
    log: &FindingsLog,
    to: &Archive,
    time_out: Duration,
) -> Result<(), Error> {
    let lines: [Cow<'_, str>; 1] = [one_line(message.alarm_record.get())];
    let object = gzip(&lines).map_err(|source| Error::Disk { what: "compressing an alarm", source })?;
    let stream = format!("alarms/{}", message.name());
    let logged = log.write(&stream, &lines, time_out);
    let key = archive::alarm_key(message);
    let archived = to.put(&key, "application/gzip", object);
    let (logged, archived) = future::join(logged, archived).await;
    Error::of_both(logged, archived)
}
