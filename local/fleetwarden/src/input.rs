//! Files that people write, in the encodings in which their tools save them.
//!
//! `Out-File` and `>` of Windows PowerShell write UTF-16 with a byte order mark, editors write UTF-8 with one. Both are
//! read; for any other encoding the error names what was found and what to do.

use anyhow::{Context as _, Result, bail};
use std::fs;
use std::io::Read as _;
use std::path::Path;

/// A text and the name by which messages refer to where it is from.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// Reads a file, or standard input for `-`.
pub(crate) fn read(path: &Path) -> Result<Input> {
    let (name, bytes) = if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).context("cannot read standard input")?;
        ("standard input".to_owned(), bytes)
    } else {
        let name = path.display().to_string();
        let bytes = fs::read(path).with_context(|| format!("cannot read {name}"))?;
        (name, bytes)
    };
    let text = decode(bytes).with_context(|| format!("cannot read {name}"))?;
    Ok(Input { name, text })
}

/// Whether a text begins as JSON does and YAML that people write does not.
pub(crate) fn looks_like_json(text: &str) -> bool {
    let mut begin = text.chars().filter(|c| !c.is_whitespace());
    let opens = begin.next().is_some_and(|c| matches!(c, '{' | '['));
    opens && begin.next().is_none_or(|c| matches!(c, '"' | '{' | '[' | '}' | ']'))
}

/// The text without its byte order mark.
fn decode(bytes: Vec<u8>) -> Result<String> {
    let utf_16 = |name: &str, rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, odd) = rest.as_chunks::<2>();
        let text: Result<String, _> = char::decode_utf16(pairs.iter().copied().map(unit)).collect();
        match text {
            Ok(text) if odd.is_empty() => Ok(text),
            _ => bail!("its byte order mark says {name}, and it is not valid {name}; save it as UTF-8"),
        }
    };
    match &bytes[..] {
        // UTF-32 in little-endian order begins as UTF-16 does.
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => bail!("it is UTF-32; save it as UTF-8"),
        [0xff, 0xfe, rest @ ..] => utf_16("UTF-16LE", rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf_16("UTF-16BE", rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => utf_8(rest.to_vec()),
        _ => utf_8(bytes),
    }
}

fn utf_8(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let byte = error.as_bytes().get(at).copied().unwrap_or_default();
        anyhow::anyhow!("it is not valid UTF-8: byte 0x{byte:02x} at offset {at}; save it as UTF-8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_windows_powershell_and_editors_save_is_read() {
        let text = "{\"reason\": \"Prüfung 😀\"}";
        let utf_16 = |bom: &[u8], bytes: fn(u16) -> [u8; 2]| {
            [bom, &text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>()].concat()
        };
        for saved in [
            text.as_bytes().to_vec(),
            [&[0xef, 0xbb, 0xbf], text.as_bytes()].concat(),
            utf_16(&[0xff, 0xfe], u16::to_le_bytes),
            utf_16(&[0xfe, 0xff], u16::to_be_bytes),
        ] {
            assert_eq!(decode(saved).unwrap(), text);
        }
    }

    #[test]
    fn an_encoding_that_is_not_read_is_named() {
        let refused = |bytes: &[u8]| decode(bytes.to_vec()).unwrap_err().to_string();
        insta::assert_snapshot!(
            [
                refused(b"{\"owner\": \"J\xfcrgen\"}"),
                refused(b"\xff\xfe{\0\""),
                refused(b"\xfe\xff\xd8\x00"),
                refused(b"\xff\xfe\0\0{\0\0\0"),
            ]
            .join("\n")
        );
    }
}
