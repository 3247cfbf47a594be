//! Topic filters: which part of a device's messages a dimension is about.
//!
//! The patterns are those of MQTT, with `${iot:ClientId}` for the device's own id ("Scoping metrics in security
//! profiles using dimensions").

/// The topics on which each device publishes and receives, with their shares of its messages in hundredths. The
/// client id stands between the two parts.
const TOPICS: [(&str, &str, u64); 3] =
    [("devices/", "/telemetry", 70), ("$aws/things/", "/shadow/update", 20), ("devices/", "/status", 10)];

/// Hundredths of a device's messages whose topics match any of the filters.
pub(crate) fn share(filters: &[String], client_id: &str) -> u64 {
    let matched = |(before, after, _): &&(&str, &str, u64)| {
        let topic = format!("{before}{client_id}{after}");
        filters.iter().any(|filter| matches(&filter.replace("${iot:ClientId}", client_id), &topic))
    };
    TOPICS.iter().filter(matched).map(|(_, _, share)| share).sum()
}

/// Whether a topic matches a filter. A wildcard at the beginning is not for topics that begin with `$`.
fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let (mut wanted, mut given) = (filter.split('/'), topic.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(wanted), Some(given)) if wanted == given => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_those_of_mqtt() {
        for (filter, topic, expected) in [
            ("a/b", "a/b", true),
            ("a/+", "a/b", true),
            ("a/+", "a/b/c", false),
            ("a/#", "a/b/c", true),
            ("a/#", "a", true),
            ("#", "a/b", true),
            ("#", "$aws/b", false),
            ("+/b", "$aws/b", false),
            ("$aws/#", "$aws/b", true),
            ("a", "a/b", false),
            ("a/b", "a", false),
        ] {
            assert_eq!(matches(filter, topic), expected, "{filter} {topic}");
        }
    }

    #[test]
    fn shares_add_up() {
        let share = |filter: &str| share(&[filter.to_owned()], "device-1");
        assert_eq!((share("devices/${iot:ClientId}/#"), share("$aws/#"), share("other/#")), (80, 20, 0));
        assert_eq!((share("devices/+/telemetry"), share("devices/device-2/#")), (70, 0));
    }
}
