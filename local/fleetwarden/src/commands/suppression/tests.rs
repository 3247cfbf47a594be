use super::*;
use crate::output::Layout;
use clap::Parser;
use fleetwarden_core::untrusted::is_unseen;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

fn event_of(words: &[&str]) -> Value {
    let line = Line::try_parse_from([&["suppression"], words].concat()).unwrap_or_else(|e| panic!("{e}"));
    let Command::Undo(undo) = &line.arguments.command;
    event(undo).unwrap().into()
}

#[test]
fn what_is_given_becomes_members_and_nothing_else_does() {
    let of_rule = json!({"command": "SuppressionUndo", "rule": "lab", "reason": "wrong"});
    assert_eq!(event_of(&["undo", "--rule=lab", "--reason=wrong"]), of_rule);
    let of_all = event_of(&[
        "undo",
        "--audit-task-id=a",
        "--check-name=CONFLICTING_CLIENT_IDS_CHECK",
        "--resource-identifier=clientId=lamp",
        "--since=2026-11-23",
        "--reason=wrong",
        "--force",
        "--dry-run",
    ]);
    let expected = json!({
        "command": "SuppressionUndo", "auditTaskId": "a", "checkName": "CONFLICTING_CLIENT_IDS_CHECK",
        "resourceIdentifier": {"clientId": "lamp"}, "since": "2026-11-23", "reason": "wrong", "force": true,
        "dryRun": true,
    });
    assert_eq!(of_all, expected);
    for wrong in [
        &["undo", "--reason=wrong"][..],
        &["undo", "--rule=lab"],
        &["undo", "--rule=lab", "--reason=wrong", "--resource-identifier=clientId=lamp"],
    ] {
        assert!(Line::try_parse_from([&["suppression"], wrong].concat()).is_err(), "{wrong:?}");
    }
}

#[test]
fn what_is_not_as_before_comes_first_and_the_next_audit_last() {
    let one = json!({
        "check": "DEVICE_CERTIFICATE_EXPIRING_CHECK", "rule": "lab", "auditTaskId": "8850eced986ec360f9b350835a621bcf",
        "resource": {"deviceCertificateId": "9449c7f3a93cf0c55a675ddf1c83732d87d56255e70b150d9e6f3cf863bb7fc1"},
        "result": "undone", "step": "DeleteAuditSuppression",
    });
    let mut refused = one.clone();
    refused["resource"] = json!({"clientId": "lamp\u{1b}[2J"});
    refused["result"] = "refused".into();
    refused["reason"] = "a person has made it, or changed it since: it is not Fleetwarden's".into();
    let next = json!({"rule": "lab", "suppressesAgain": true,
        "next": "the next audit of the check suppresses again by this rule: change the rule or remove it, and deploy"});
    let all = [
        json!({"suppressions": [one, refused], "nextAudit": [next]}),
        json!({"dryRun": true, "suppressions": [one]}),
        json!({"suppressions": [one]}),
        json!({"suppressions": []}),
    ];
    let text = |value: &Value| {
        undone::text(&serde_json::from_value(value.clone()).unwrap(), Layout::Columns(80)).plain()
    };
    let all = all.each_ref().map(text).join("\n\n----\n\n");
    assert!(!all.replace('\n', "").contains(is_unseen));
    insta::assert_snapshot!(all);
}

#[test]
fn pages_are_put_together() {
    let page = |n: u32, token: Option<&str>| -> Undone {
        let one = json!({"check": "C", "result": "undone", "rule": "r", "auditTaskId": n.to_string()});
        serde_json::from_value(json!({
            "suppressions": [one], "nextAudit": [{"rule": "r", "next": "x"}], "nextToken": token,
        }))
        .unwrap()
    };
    let mut all = page(1, Some("t"));
    all.add(page(2, None));
    assert_eq!((all.count(), all.next_audit.len(), all.token().is_none()), (2, 1, true));
    assert!(all.is_good());
}
