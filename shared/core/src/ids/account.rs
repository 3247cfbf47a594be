//! The id of an account.

use super::id::id;

id! {
    /// An AWS account's id: 12 digits.
    AccountId, is_account_id, "not an account id"
}

fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_digits_are_one() {
        assert_eq!("123456789012".parse::<AccountId>().unwrap(), "123456789012");
        for bad in ["", "12345678901", "1234567890123", "12345678901a", "１23456789012"] {
            assert!(bad.parse::<AccountId>().is_err(), "{bad}");
        }
    }
}
