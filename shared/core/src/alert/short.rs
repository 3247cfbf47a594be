//! The shortest texts: a text message, and the subject of an email.

use super::Alert;
use super::Place;
use super::TITLE;

/// How long a text message may be that is sent as one, in ASCII characters.
///
/// Source: `Message` of `Publish` in the Amazon SNS API reference.
const SMS: usize = 140;
/// How long a subject may be: less than 100 characters, without line breaks and control characters.
///
/// Source: `Subject` of `Publish` in the Amazon SNS API reference.
const SUBJECT: usize = 99;
/// How much of a stack's name a text message has.
const STACK: usize = 32;

/// The alert as one text message, in ASCII: with any other character it would be two.
pub(super) fn sms(alert: &Alert, place: &Place) -> String {
    let ascii = |text: &str| -> String { text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect() };
    let stack = place.stack.as_deref().map(|stack| format!(" {}", clipped(stack, STACK)));
    let end = match place.account.as_str() {
        "" => String::new(),
        account => format!(" ({account} {}{})", place.region, stack.unwrap_or_default()),
    };
    let head = format!("Fleetwarden {}: {}", alert.severity.as_str(), alert.title.plain_within(TITLE));
    let end = ascii(&end);
    clipped(&ascii(&head), SMS.saturating_sub(end.len())) + &end
}

/// The subject of the email: how soon, from where, and what.
pub(super) fn subject(alert: &Alert, place: &Place) -> String {
    let from = [place.account.as_str(), place.region.as_str()].join(" ");
    let from = if place.account.is_empty() { String::new() } else { format!(" {from}") };
    clipped(&format!("[{}]{from}: {}", alert.severity.as_str(), alert.title.plain_within(TITLE)), SUBJECT)
}

/// The beginning of a text, in units of UTF-16, as services count: an emoji is two.
fn clipped(text: &str, most: usize) -> String {
    let length = |text: &str| text.encode_utf16().count();
    if length(text) <= most {
        return text.to_owned();
    }
    let mut out = String::new();
    for c in text.chars() {
        if length(&out) + c.len_utf16() + 3 > most {
            break;
        }
        out.push(c);
    }
    out + "..."
}
