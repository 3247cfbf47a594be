//! Objects of lines of JSON, compressed: what is recorded once and stays.

use std::borrow::Cow;
use std::io;
use std::io::Read as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::GzBuilder;
use flate2::read::GzDecoder;

use super::Archive;
use crate::Error;

impl Archive {
    /// Writes lines as an object, unless there is one with this key. Gives the lines that stand there then: those that
    /// were given, or those that an earlier try has written.
    ///
    /// # Errors
    /// If the bucket does not answer, or has something else than compressed lines under this key.
    pub async fn record(&self, key: &str, lines: &[Cow<'_, str>]) -> Result<Recorded, Error> {
        let object = gzip(lines).map_err(|source| Error::Disk { what: "compressing lines", source })?;
        if self.put_new(key, "application/gzip", object).await? {
            return Ok(Recorded::Now);
        }
        let lines = self.recorded(key).await?;
        let lines =
            lines.ok_or_else(|| Error::Later(format!("{key} is in the archive and cannot be read")))?;
        Ok(Recorded::Before(lines))
    }

    /// The lines of an object. None if there is none with this key.
    ///
    /// # Errors
    /// If the object cannot be read, or is something else than compressed lines.
    pub async fn recorded(&self, key: &str) -> Result<Option<Vec<String>>, Error> {
        let Some(object) = self.read(key).await? else { return Ok(None) };
        let text =
            gunzip(&object).map_err(|e| Error::Input(format!("{key} is not compressed lines: {e}")))?;
        Ok(Some(text.lines().map(ToOwned::to_owned).collect()))
    }
}

/// What came of recording lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// They are written.
    Now,
    /// Others were there: these.
    Before(Vec<String>),
}

/// A JSON text on one line. In JSON a line break can only stand between two tokens.
pub fn one_line(text: &str) -> Cow<'_, str> {
    // A search for one byte is a vector instruction; one for either of two characters goes character by character.
    if text.contains('\n') || text.contains('\r') {
        text.replace(['\n', '\r'], " ").into()
    } else {
        text.into()
    }
}

/// Newline-delimited JSON, compressed. The header has no time, so that the same lines are the same bytes.
fn gzip(lines: &[Cow<'_, str>]) -> io::Result<Vec<u8>> {
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
    use crate::testing::cloud::Cloud;

    #[tokio::test]
    async fn what_is_recorded_first_stays() {
        let cloud = Cloud::default();
        let archive = Archive::new(cloud.clients().s3(), "archive".into());
        let (first, second) = (["a".into(), "b".into()], ["c".into()]);
        assert_eq!(archive.recorded("findings/x").await.unwrap(), None);
        assert_eq!(archive.record("findings/x", &first).await.unwrap(), Recorded::Now);
        let before = Recorded::Before(vec!["a".into(), "b".into()]);
        assert_eq!(archive.record("findings/x", &second).await.unwrap(), before);
        assert_eq!(archive.record("findings/x", &first).await.unwrap(), before);
        archive.put("findings/y", "text/plain", b"no lines".to_vec()).await.unwrap();
        let error = archive.record("findings/y", &second).await.unwrap_err().to_string();
        assert!(error.starts_with("findings/y is not compressed lines"), "{error}");
    }

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
