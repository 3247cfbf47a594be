//! The address of a query of CloudWatch Logs Insights in the console.
//!
//! AWS documents no format. This is what the console itself puts into the address bar: an object in the notation of JSURL,
//! its marks percent-encoded twice with `$` for `%`. So the address has no character that ends a link in a mail or in a chat.

use std::fmt::Write as _;

use crate::timestamp::Millis;

/// A query of one log group, over a time.
pub(super) struct Query<'q> {
    pub(super) group: &'q str,
    pub(super) text: &'q str,
    pub(super) from: Millis,
    pub(super) to: Millis,
}

impl Query<'_> {
    /// Its address at the console of a region.
    pub(super) fn address(&self, console: &str, region: &str) -> String {
        let text = |value: &str| format!("$2527{}", escaped(value));
        let members = [
            ("end", text(&self.to.rfc3339())),
            ("start", text(&self.from.rfc3339())),
            ("timeType", text("ABSOLUTE")),
            ("tz", text("UTC")),
            ("editorString", text(self.text)),
            ("source", format!("$2528$257E{}$2529", text(self.group))),
        ];
        let members = members.map(|(name, value)| format!("{name}$257E{value}")).join("$257E");
        format!(
            "{console}/cloudwatch/home?region={region}#logsV2:logs-insights$3FqueryDetail$3D$257E$2528{members}$2529"
        )
    }
}

/// A text in JSURL: what is no letter, digit, `-`, `_` or `.` is `*` and its two hexadecimal digits, and what needs more,
/// `**` and four.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for unit in text.encode_utf16() {
        let escape = match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) => {
                out.push(char::from(byte));
                continue;
            }
            Ok(byte) => write!(out, "*{byte:02x}"),
            Err(_) => write!(out, "**{unit:04x}"),
        };
        // A string takes all that is written.
        escape.unwrap_or_default();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_the_one_that_the_console_makes() {
        let query = Query {
            group: "/aws/lambda/f",
            text: "fields @timestamp\n| filter @message =~ \"Exception\"",
            from: Millis(1_626_382_800_000),
            to: Millis(1_626_641_999_000),
        };
        assert_eq!(
            query.address("https://eu-west-1.console.aws.amazon.com", "eu-west-1"),
            "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:logs-insights\
             $3FqueryDetail$3D$257E$2528end$257E$25272021-07-18T20*3a59*3a59Z$257Estart$257E$25272021-07-15T21*3a00*3a00Z\
             $257EtimeType$257E$2527ABSOLUTE$257Etz$257E$2527UTC$257EeditorString$257E$2527fields*20*40timestamp*0a*7c*20\
             filter*20*40message*20*3d*7e*20*22Exception*22$257Esource$257E$2528$257E$2527*2faws*2flambda*2ff$2529$2529"
        );
    }

    #[test]
    fn a_character_that_needs_more_is_escaped_as_jsurl_has_it() {
        assert_eq!(escaped("é€😀"), "*e9**20ac**d83d**de00");
    }
}
