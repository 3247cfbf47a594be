//! Some findings of a check: one log event each, and one archive object of them all.

use std::borrow::Cow;
use std::io;
use std::io::Read as _;
use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::GzBuilder;
use flate2::read::GzDecoder;
use fleetwarden_aws::Error;
use fleetwarden_aws::archive::Archive;
use fleetwarden_aws::archive::findings_key;
use fleetwarden_aws::archive::page_name;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::Audit;
use serde_json::value::RawValue;

use crate::log::FindingsLog;

/// A page, or the part of one that fits into a message.
pub(crate) struct Page<'m> {
    pub(crate) audit: &'m Audit,
    pub(crate) check: &'m CheckName,
    pub(crate) number: u32,
    pub(crate) part: u32,
    pub(crate) findings: &'m [&'m RawValue],
}

impl Page<'_> {
    /// Writes the page to the archive and then to the log.
    ///
    /// A page can come with other decisions: if triage dies before it has recorded the page, it decides again, perhaps
    /// under another policy or after a later audit. What was archived first stays and is what the log gets.
    pub(crate) async fn export(
        &self,
        log: &FindingsLog,
        archive: &Archive,
        time_out: Duration,
    ) -> Result<(), Error> {
        if self.findings.is_empty() {
            return Ok(());
        }
        let lines: Vec<Cow<'_, str>> = self.findings.iter().map(|finding| one_line(finding.get())).collect();
        let object = gzip(&lines).map_err(|source| Error::Disk { what: "compressing a page", source })?;
        let key = findings_key(self.audit, self.check, self.number, self.part);
        let stream = self.stream();
        if archive.put_new(&key, "application/gzip", object).await? {
            return log.write(&stream, &lines, time_out).await;
        }
        let archived = archive.read(&key).await?;
        let archived =
            archived.ok_or_else(|| Error::Later(format!("{key} is in the archive and cannot be read")))?;
        let text =
            gunzip(&archived).map_err(|source| Error::Disk { what: "reading an archived page", source })?;
        let lines: Vec<Cow<'_, str>> = text.lines().map(Cow::from).collect();
        log.write(&stream, &lines, time_out).await
    }

    /// The page's own log stream. Its parts can hold neither `:` nor `*`, which CloudWatch Logs does not take.
    fn stream(&self) -> String {
        let page = page_name(self.number, self.part);
        format!("{}/{}/{page}", self.check, self.audit.task_id)
    }
}

/// A JSON text on one line. In JSON a line break can only stand between two tokens.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    // A search for one byte is a vector instruction; one for either of two characters goes character by character.
    if text.contains('\n') || text.contains('\r') {
        text.replace(['\n', '\r'], " ").into()
    } else {
        text.into()
    }
}

/// Newline-delimited JSON, compressed. The header has no time, so that the same lines are the same bytes.
pub(crate) fn gzip(lines: &[Cow<'_, str>]) -> io::Result<Vec<u8>> {
    // The fastest level: the time of a function costs more than the space of an archive that expires.
    let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::fast());
    for line in lines {
        gzip.write_all(line.as_bytes())?;
        gzip.write_all(b"\n")?;
    }
    gzip.finish()
}

fn gunzip(object: &[u8]) -> io::Result<String> {
    let mut text = String::new();
    GzDecoder::new(object).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_its_lines_and_the_same_bytes_again() {
        let lines: Vec<Cow<'_, str>> = vec!["{\"a\":\"ä\"}".into(), "{}".into()];
        let object = gzip(&lines).unwrap();
        assert_eq!(object, gzip(&lines).unwrap());
        assert_eq!(object[4..8], [0; 4], "the header's time");
        assert_eq!(gunzip(&object).unwrap(), "{\"a\":\"ä\"}\n{}\n");
    }

    #[test]
    fn a_finding_is_one_line_however_it_was_written() {
        assert!(matches!(one_line("{\"a\": \"b\\n\"}"), Cow::Borrowed(_)));
        assert_eq!(one_line("{\r\n\"a\": 1\n}"), "{  \"a\": 1 }");
    }
}
