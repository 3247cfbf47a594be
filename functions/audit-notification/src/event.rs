//! The records of an SNS event, read one by one.
//!
//! The event types of `aws_lambda_events` read all records at once and require members that are not used here:
//! one record without them would fail its whole event before a line of ours has run.

use fleetwarden_aws::Error;
use fleetwarden_core::untrusted::shown;
use serde_json::Value;

const SOURCE: &str = "aws:sns";

/// The records of an event.
///
/// # Errors
/// If it is not an event of SNS, with the path of what says so. Only SNS may invoke the function, so this is a wrong
/// wiring or a test by hand, and nothing in the event can be handled.
pub(crate) fn records(event: &Value) -> Result<&[Value], Error> {
    let wrong = |path: &str, what: String| Err(Error::Input(format!("{path} of the event: {what}")));
    let records = match event.get("Records") {
        Some(Value::Array(records)) => records,
        Some(_) => return wrong("Records", "not a list; the function takes events of Amazon SNS".into()),
        None => return wrong("Records", format!("missing; {}", members(event))),
    };
    let sources: Vec<&str> = records.iter().map(source).collect();
    match sources.first() {
        Some(first) if !sources.contains(&SOURCE) => {
            wrong("Records[0].EventSource", format!("'{}' is not '{SOURCE}'", shown(first)))
        }
        _ => Ok(records),
    }
}

/// The message of the record at a place of its event.
///
/// # Errors
/// [`Error::Input`] with the path of what is missing.
pub(crate) fn message(at: usize, record: &Value) -> Result<&str, Error> {
    let source = source(record);
    if source != SOURCE {
        return Err(Error::Input(format!(
            "Records[{at}].EventSource of the event: '{}' is not '{SOURCE}'",
            shown(source)
        )));
    }
    let text = record.pointer("/Sns/Message").and_then(Value::as_str);
    text.ok_or_else(|| {
        Error::Input(format!("Records[{at}].Sns.Message of the event: missing, or not a string"))
    })
}

/// Who sent a record. SNS writes the member with a capital, SQS and others without.
fn source(record: &Value) -> &str {
    let named = record.get("EventSource").or_else(|| record.get("eventSource"));
    named.and_then(Value::as_str).unwrap_or_default()
}

fn members(event: &Value) -> String {
    match event {
        Value::Object(members) => {
            let names: Vec<String> = members.keys().take(10).map(|name| shown(name)).collect();
            format!("the event's members are: {}", names.join(", "))
        }
        _ => "the event is not a JSON object".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_of_another_source_is_refused_with_the_path() {
        let errors = [
            json!(null),
            json!([]),
            json!("text"),
            json!({}),
            json!({"Records": {}}),
            json!({"Records": [{"eventSource": "aws:sqs", "body": "{}"}]}),
            json!({"Records": [{}]}),
            json!({"Records": [7]}),
            json!({"version": "0", "id": "1", "detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}),
        ]
        .map(|event| records(&event).unwrap_err().to_string());
        insta::assert_snapshot!(errors.join("\n"));
    }

    #[test]
    fn an_event_without_records_has_nothing_to_do() {
        assert!(records(&json!({"Records": []})).unwrap().is_empty());
    }

    #[test]
    fn a_record_that_is_wrong_is_named_by_its_path() {
        let errors = [
            json!({"EventSource": "aws:sns"}),
            json!({"EventSource": "aws:sns", "Sns": {}}),
            json!({"EventSource": "aws:sns", "Sns": {"Message": {"taskId": "1"}}}),
            json!({"EventSource": "aws:sns", "Sns": null}),
            json!({"EventSource": "aws:s3"}),
            json!(null),
        ]
        .map(|record| message(3, &record).unwrap_err().to_string());
        insta::assert_snapshot!(errors.join("\n"));
    }
}
