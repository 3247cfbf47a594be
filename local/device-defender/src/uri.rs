//! What stands in a path and a query string, read.

/// The members of a query string.
pub(crate) fn query(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

/// Percent-decoding. What is no code stays as it is; what is no UTF-8 becomes replacement characters.
pub(crate) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = code.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let (b'%', Some(byte)) = (first, code) {
            bytes.push(byte);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_decoded_once() {
        assert_eq!(decode("a%20b%2541%zz%"), "a b%41%zz%");
        assert_eq!(
            query("a=1&b&=&c=%3D"),
            [
                ("a".into(), "1".into()),
                ("b".into(), String::new()),
                (String::new(), String::new()),
                ("c".into(), "=".into()),
            ] as [(String, String); 4]
        );
    }
}
