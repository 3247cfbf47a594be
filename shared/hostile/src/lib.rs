//! Texts that mean harm to who reads them, and whether they could do any. For tests.
//!
//! What is not seen is listed here anew and not taken from where it is escaped, so that one list checks the other.

use proptest::prelude::*;
use pulldown_cmark::Event;
use pulldown_cmark::Options;
use pulldown_cmark::Parser;
use serde_json::Value;

/// Texts that have done harm somewhere, or could.
pub const TEXTS: [&str; 22] = [
    "<https://example.com|AWS sign-in>",
    "[AWS sign-in](https://example.com)",
    "https://example.com",
    "www.example.com",
    "<!channel> <@U012AB3CD> @here",
    "\u{1b}]8;;https://example.com\u{7}AWS sign-in\u{1b}]8;;\u{7}",
    "\u{1b}[2J\u{1b}[31mall is well",
    "pump\rall is well",
    "pump\r\n\r\n# All is well\n- nothing to do",
    "gpj.\u{202e}exe\u{2066}\u{2069}",
    "pu\u{200b}mp\u{feff}\u{e0041}\u{ad}",
    "**bold** _slanted_ ~~gone~~ `code`",
    "` **out of the code**",
    "``` \n fenced \n```",
    "| a | b |\n| - | - |\n| c | d |",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "\" onmouseover=\"alert(1)' x='",
    "]]><!-- --> <?xml version=\"1.0\"?> &amp;&#60;",
    "=HYPERLINK(\"https://example.com\")",
    "@SUM(1+1)|cmd",
    "{name} {} {{}} %s $(reboot)",
    "\u{0}\u{7f}\u{85}\u{9b}31m\u{2028}\u{2029}",
];

/// Texts that mean harm: those above, parts of them put together, and anything else.
pub fn texts() -> impl Strategy<Value = String> {
    let one = prop::sample::select(TEXTS.as_slice()).prop_map(ToOwned::to_owned);
    prop_oneof![
        2 => one,
        1 => prop::collection::vec(prop::sample::select(TEXTS.as_slice()), 2..4).prop_map(|texts| texts.concat()),
        2 => r"[a-c<>`*_@|:/\\.#=\[\]()!&\n -]{0,30}",
        1 => "(?s).{0,40}",
    ]
}

/// Whether a character is not seen.
pub fn is_unseen(c: char) -> bool {
    let bidi =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let no_width =
        matches!(c, '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' | '\u{e0020}'..='\u{e007f}');
    c.is_control() || bidi || no_width || matches!(c, '\u{2028}' | '\u{2029}')
}

/// That each character of a text of one or more lines is seen.
///
/// # Panics
/// If one is not.
#[track_caller]
pub fn assert_seen(text: &str) {
    assert!(!text.contains(|c| c != '\n' && is_unseen(c)), "{text:?}");
}

/// That a text without markup has nothing unseen, and nothing of which a mail program or a chat makes a link.
///
/// # Panics
/// If it has.
#[track_caller]
pub fn assert_quiet(text: &str) {
    assert_seen(text);
    assert!(!["://", "<", "`"].iter().any(|mark| text.contains(mark)), "{text:?}");
    assert_eq!(text.lines().count().max(1), 1, "{text:?}");
}

/// That a message in Markdown has no other markup, links or lines than one with harmless values.
///
/// # Panics
/// If it has.
#[track_caller]
pub fn assert_same_markup(message: &str, harmless: &str) {
    assert_seen(message);
    assert_eq!(shape(message), shape(harmless), "{message}\n---\n{harmless}");
}

/// That an alert, as it is published, has no other markup, links or lines for any protocol than one with harmless values.
///
/// # Panics
/// If it has.
#[track_caller]
pub fn assert_same_alert(message: &str, harmless: &str) {
    let [message, harmless] = [message, harmless].map(texts_of);
    assert!(message.chat.len() >= 2 && message.chat.len() == harmless.chat.len(), "{:?}", message.chat);
    for (text, harmless) in message.chat.iter().zip(&harmless.chat) {
        assert_same_markup(text, harmless);
    }
    for (text, harmless) in message.plain.iter().zip(&harmless.plain) {
        assert_seen(text);
        assert_eq!(links(text), links(harmless), "{text}");
    }
    assert_quiet(&message.plain[1]);
}

/// The same of all alerts that a function has, each of which `publish` gives as it is published.
///
/// # Panics
/// If one has, or if there are not as many.
#[track_caller]
pub fn assert_same_alerts<A>(alerts: &[A], harmless: &[A], publish: impl Fn(&A) -> String) {
    assert_eq!(alerts.len(), harmless.len(), "as many alerts");
    for (alert, harmless) in alerts.iter().zip(harmless) {
        assert_same_alert(&publish(alert), &publish(harmless));
    }
}

struct Texts {
    /// For a chat: the title, the description, and what to do.
    chat: Vec<String>,
    /// The email, the text message, and the summary for a chat.
    plain: [String; 3],
}

/// The texts of an alert by protocol, as Amazon SNS takes them.
fn texts_of(message: &str) -> Texts {
    let protocols: Value = serde_json::from_str(message).unwrap_or_default();
    let text = |value: &Value, part: &str| {
        value.pointer(part).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let chat: Value = serde_json::from_str(&text(&protocols, "/default")).unwrap_or_default();
    let plain = [text(&protocols, "/email"), text(&protocols, "/sms"), text(&chat, "/metadata/summary")];
    assert!(plain.iter().all(|text| !text.is_empty()), "{message}");
    let steps = chat.pointer("/content/nextSteps").and_then(Value::as_array).cloned().unwrap_or_default();
    let told = [text(&chat, "/content/title"), text(&chat, "/content/description")];
    let steps = steps.iter().filter_map(Value::as_str).map(ToOwned::to_owned);
    Texts { chat: told.into_iter().chain(steps).collect(), plain }
}

/// What is markup in a message, in Markdown and in what Slack makes of it.
fn shape(message: &str) -> (Vec<String>, [usize; 6]) {
    let markup = Parser::new_ext(message, Options::all()).filter_map(|event| match event {
        // A value may stand as code, and its text is its own.
        Event::Text(_) | Event::Code(_) => None,
        other => Some(format!("{other:?}")),
    });
    let calls = message.split('@').skip(1).count() - addresses(message);
    let odd = message.matches('`').count() % 2;
    let counts = [
        message.matches('<').count(),
        message.matches('>').count(),
        links(message),
        calls,
        odd,
        message.lines().count(),
    ];
    (markup.collect(), counts)
}

/// How many addresses a program could make links of. Three points after `www` are where a text was cut.
fn links(message: &str) -> usize {
    let lower = message.to_ascii_lowercase();
    let begins_host = |rest: &str| rest.starts_with(|c: char| c.is_alphanumeric());
    let hosts = lower.split("www.").skip(1).filter(|rest| begins_host(rest));
    message.matches("://").count() + hosts.count()
}

/// How many `@` stand within a word, as in an address.
fn addresses(message: &str) -> usize {
    let before = message.match_indices('@').filter_map(|(at, _)| message.get(..at)?.chars().next_back());
    before.filter(|c| c.is_alphanumeric() || "._+-".contains(*c)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harm_is_seen() {
        for harm in TEXTS.iter().filter(|text| !text.starts_with(['=', '{', '"'])) {
            let outcome = std::panic::catch_unwind(|| {
                assert_same_markup(&format!("a {harm} b"), "a c b");
                assert_same_markup(&format!("a `{harm}` b"), "a `c` b");
            });
            assert!(outcome.is_err(), "{harm:?}");
        }
    }
}
