//! The lines of an object of the archive: decompressed as they are read, whatever the object's size.

use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufRead, BufReader, Read};

/// A finding with its decision has about a kilobyte. No message that brought one had more than a megabyte.
const LONGEST: usize = 4 << 20;
const COMPRESSED: usize = 64 << 10;
const PLAIN: usize = 256 << 10;

/// Hands over each line that is not empty, with its number from 1, or none for one that is too long.
///
/// # Errors
/// If the object is no gzip or ends early. What came before has been handed over.
pub(crate) fn each(object: impl Read, mut line: impl FnMut(u64, Option<&[u8]>)) -> io::Result<()> {
    let mut compressed = BufReader::with_capacity(COMPRESSED, object);
    if compressed.fill_buf()?.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it is empty"));
    }
    let mut plain = BufReader::with_capacity(PLAIN, MultiGzDecoder::new(compressed));
    let mut number = 0;
    // The begin of a line whose end is not in the buffer.
    let mut begun = Vec::new();
    let mut too_long = false;
    loop {
        let buffer = plain.fill_buf()?;
        let length = buffer.len();
        let mut rest = buffer;
        while let Some((head, tail)) = memchr::memchr(b'\n', rest).and_then(|at| rest.split_at_checked(at)) {
            number += 1;
            rest = tail.get(1..).unwrap_or_default();
            if begun.is_empty() && !too_long {
                hand_over(&mut line, number, head);
            } else {
                begun.extend_from_slice(head);
                if too_long {
                    line(number, None);
                } else {
                    hand_over(&mut line, number, &begun);
                }
                begun.clear();
                too_long = false;
            }
        }
        if length == 0 {
            if too_long {
                line(number + 1, None);
            } else {
                hand_over(&mut line, number + 1, &begun);
            }
            return Ok(());
        }
        begun.extend_from_slice(rest);
        if begun.len() > LONGEST {
            begun.clear();
            too_long = true;
        }
        plain.consume(length);
    }
}

fn hand_over(line: &mut impl FnMut(u64, Option<&[u8]>), number: u64, text: &[u8]) {
    if !text.trim_ascii().is_empty() {
        line(number, Some(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write as _;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(text).unwrap();
        gzip.finish().unwrap()
    }

    fn read(object: &[u8]) -> (Vec<(u64, Option<usize>)>, io::Result<()>) {
        let mut lines = Vec::new();
        let ended = each(object, |number, text| lines.push((number, text.map(<[u8]>::len))));
        (lines, ended)
    }

    #[test]
    fn lines_are_numbered_and_empty_ones_passed_over() {
        let (lines, ended) = read(&gzip(b"a\n\n \nbc\ndef"));
        ended.unwrap();
        assert_eq!(lines, [(1, Some(1)), (4, Some(2)), (5, Some(3))]);
        assert_eq!(read(&gzip(b"")).0, []);
    }

    #[test]
    fn a_line_may_be_longer_than_the_buffer_but_not_endless() {
        let long =
            [vec![b'a'; 3 * PLAIN], vec![b'\n'], vec![b'b'; LONGEST + PLAIN], b"\nc".to_vec()].concat();
        let (lines, ended) = read(&gzip(&long));
        ended.unwrap();
        assert_eq!(lines, [(1, Some(3 * PLAIN)), (2, None), (3, Some(1))]);
    }

    #[test]
    fn objects_that_were_joined_are_read_to_the_end() {
        let (lines, ended) = read(&[gzip(b"a\n"), gzip(b"b\n")].concat());
        ended.unwrap();
        assert_eq!(lines, [(1, Some(1)), (2, Some(1))]);
    }

    #[test]
    fn what_was_cut_off_gives_what_it_has_and_an_error() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(|n| format!("{n}\n").into_bytes()).collect();
        let whole = gzip(&text);
        let (lines, ended) = read(&whole[..whole.len() / 2]);
        assert!(ended.is_err());
        assert!(lines.len() > 1000);
        assert!(read(b"").1.is_err());
        assert!(read(b"no gzip at all").1.is_err());
    }
}
