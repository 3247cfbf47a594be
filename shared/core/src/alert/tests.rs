use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::ids::CheckName;
use crate::text;

const AT: Millis = Millis(1_796_000_400_000);

fn place() -> Place {
    Place {
        stack: Some("fleetwarden".into()),
        function: Some("fleetwarden-ExportFindingsFunction-1A2B3C".into()),
        log_group: Some("/fleetwarden/fleetwarden/export-findings".into()),
        findings_log_group: Some("/fleetwarden/fleetwarden/findings".into()),
        runbook: Some("https://wiki.example.com/fleetwarden/operate".into()),
        ..Place::of_topic("arn:aws:sns:eu-west-1:123456789012:fleetwarden-AlertTopic-1A2B3C")
    }
}

fn findings() -> Alert {
    let task_id = "4e2bcd1ccbc2a5dd15292a82ab80c380".to_owned();
    Alert {
        kind: Kind::FindingsReported,
        severity: AlertSeverity::Critical,
        about: "DEVICE_CERTIFICATE_SHARED_CHECK".into(),
        thread: format!("audit {task_id}"),
        title: "4 findings of DEVICE_CERTIFICATE_SHARED_CHECK need attention (2 new, 1 returned)".into(),
        description: text!(
            "Audit task `{}` of audit Nightly, account 123456789012 in eu-west-1, begun 2026-11-29T03:00:00Z.\n\
             - **critical**: 4 reported of 9 (2 new, 1 returned); 3 to be mitigated, 2 suppressed",
            task_id
        ),
        next_steps: vec![
            text!(
                "Read them in the log group `/fleetwarden/fleetwarden/findings` with Logs Insights: `fields severity, \
                 status, reasonCode, reason, key | filter kind = \"finding\" and taskId = \"{}\" | sort severity`",
                task_id
            ),
            "What is accepted, or can be mitigated: give it a rule in the policy.".into(),
        ],
        subject: Subject::Findings { task_id, check: CheckName::new("DEVICE_CERTIFICATE_SHARED_CHECK") },
    }
}

fn alarm() -> Alert {
    Alert {
        kind: Kind::AlarmRaised,
        severity: AlertSeverity::High,
        about: "v-1 1796000100000 report".into(),
        thread: "alarm 0c1f".into(),
        title: text!("`{}` is in alarm: `messages`", "camera-1<https://example.com|AWS sign-in>"),
        description: "Security profile `cameras*`, behavior `messages`, account 123456789012 in eu-west-1. Metric \
                      `aws:num-messages-sent`.\nMeasured: `count 4711`\nExpected: `count 100`\nIn alarm since \
                      2026-11-30T00:55:00Z.\nRule `loud-cameras`: the mitigation `Quarantine` would be asked for; the \
                      policy's mode is `observe`."
            .into(),
        next_steps: vec![
            "If the alarm is false, say so: `fleetwarden detect put-verification-state-on-violation --violation-id v-1 \
             --verification-state FALSE_POSITIVE`."
                .into(),
        ],
        subject: Subject::Alarm { violation_id: "v-1".into() },
    }
}

fn mitigation() -> Alert {
    Alert {
        kind: Kind::MitigationFailed,
        severity: AlertSeverity::High,
        about: "fw-1 LOGGING_DISABLED_CHECK failed".into(),
        thread: "audit 4e2b".into(),
        title: "LOGGING_DISABLED_CHECK: 2 of 3 mitigations did not succeed".into(),
        description: "**LOGGING_DISABLED_CHECK**, rule `logging`, actions `EnableIotLogging`, on 3 findings of audit \
                      `4e2b`; mitigation task `fw-1`.\nThe task ended as failed. Findings: 1 succeeded, 2 failed, 0 \
                      skipped, 0 canceled.\n- finding `f-1`: failed; `EnableIotLogging` FAILED: AccessDenied: no role\n- \
                      and 1 more; the ledger has them all"
            .into(),
        next_steps: vec![
            "See whether the role of each mitigation action allows what the action does; Device Defender assumes it."
                .into(),
            "Mitigate by hand what cannot wait: the next audit finds the rest again, under new ids.".into(),
        ],
        subject: Subject::Mitigation { task_id: "fw-1".into(), audit_task_id: Some("4e2b".into()) },
    }
}

fn suppression() -> Alert {
    Alert {
        kind: Kind::SuppressionEnding,
        severity: AlertSeverity::Medium,
        about: "hand jürgen".into(),
        thread: "suppressions".into(),
        title: text!("12 suppressions of {} end within 7 days, on 2026-12-07", "jürgen.müller@example.com"),
        description: text!("- 12 of DEVICE_CERTIFICATE_EXPIRING_CHECK\n\nFor example: {}", "设备证书"),
        next_steps: vec![],
        subject: Subject::Log,
    }
}

/// Each protocol's text by its name.
fn texts(alert: &Alert, place: &Place) -> [String; 3] {
    let message: Value = serde_json::from_str(&alert.publication(place, AT).message).unwrap();
    assert_eq!(message.as_object().unwrap().len(), 3);
    ["default", "email", "sms"].map(|protocol| message[protocol].as_str().unwrap().to_owned())
}

#[test]
fn each_protocol_has_its_text() {
    let kinds = [findings(), alarm(), mitigation(), suppression()];
    for (alert, name) in kinds.iter().zip(["findings", "alarm", "mitigation", "suppression"]) {
        let [chat, email, sms] = texts(alert, &place());
        let chat: Value = serde_json::from_str(&chat).unwrap();
        insta::assert_json_snapshot!(format!("chat_of_{name}"), chat);
        insta::assert_snapshot!(format!("email_of_{name}"), email);
        let subject = alert.publication(&place(), AT).subject;
        insta::assert_snapshot!(format!("short_of_{name}"), format!("{subject}\n{sms}"));
    }
}

#[test]
fn the_log_line_has_all_words() {
    let line: Value = serde_json::from_str(&mitigation().log_line(&place(), AT)).unwrap();
    insta::assert_json_snapshot!(line);
}

#[test]
fn what_is_not_known_of_the_place_is_left_out() {
    for arn in ["", "arn:topic", "arn:aws:sqs:eu-west-1:123456789012:q", "arn:aws:sns:e u:1:t"] {
        let nowhere = Place::of_topic(arn);
        assert_eq!(nowhere, Place::default(), "{arn}");
        let [chat, email, sms] = texts(&mitigation(), &nowhere);
        for text in [&chat, &email, &sms] {
            assert!(!text.contains("From") && !text.contains("https://") && !text.contains("()"), "{text}");
        }
    }
    let [chat, email, _] = texts(&mitigation(), &Place { runbook: None, ..place() });
    for text in [chat.replace('\\', ""), email] {
        assert!(text.contains("Runbook: docs/operate.md, \"What was done, and to what\""), "{text}");
    }
}

#[test]
fn each_partition_has_its_console_and_an_unknown_one_none() {
    let links = |partition: &str, region: &str| {
        let topic = format!("arn:{partition}:sns:{region}:123456789012:t");
        let place = Place { findings_log_group: Some("g".into()), ..Place::of_topic(&topic) };
        place.links(&findings(), AT).into_iter().map(|link| link.url).collect::<Vec<_>>()
    };
    for (partition, region, begins) in [
        ("aws", "eu-west-1", "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#"),
        (
            "aws-cn",
            "cn-north-1",
            "https://cn-north-1.console.amazonaws.cn/cloudwatch/home?region=cn-north-1#",
        ),
        (
            "aws-us-gov",
            "us-gov-west-1",
            "https://us-gov-west-1.console.amazonaws-us-gov.com/cloudwatch/home?",
        ),
    ] {
        let links = links(partition, region);
        assert!(links.len() == 1 && links[0].starts_with(begins), "{links:?}");
        assert!(links[0].chars().all(|c| c.is_ascii_graphic() && !"'()<>\"~".contains(c)), "{links:?}");
    }
    assert_eq!(links("aws-iso", "us-iso-east-1"), Vec::<String>::new());
}

#[test]
fn an_id_that_means_something_to_a_query_makes_none() {
    let odd = Alert { subject: Subject::Alarm { violation_id: "v\" or 1 = 1".into() }, ..alarm() };
    assert_eq!(place().links(&odd, AT).len(), 1, "the runbook alone");
}

#[test]
fn the_same_thing_told_again_has_the_same_id() {
    let again = Alert { title: "other words".into(), subject: Subject::Log, ..findings() };
    assert_eq!(findings().id(), again.id());
    assert_ne!(findings().id(), Alert { about: "X".into(), ..findings() }.id());
}

#[test]
fn what_is_cut_is_never_where_it_is_from() {
    let long = Alert { description: Text::joined(vec!["x".repeat(700); 30], " "), ..findings() };
    let [chat, email, _] = texts(&long, &place());
    let chat: Value = serde_json::from_str(&chat).unwrap();
    let description = chat["content"]["description"].as_str().unwrap();
    assert!(description.chars().count() <= 8000);
    assert!(
        description.contains("…\n\nFrom account 123456789012 in eu-west-1")
            && description.contains("#when-an-alert-comes")
    );
    assert!(email.contains("…\n\nWhat to do:"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What Amazon SNS refuses is an alert that nobody gets.
    #[test]
    fn whatever_it_says_the_topic_takes_it(
        title in any::<String>(),
        description in "(\\PC|[\\x00\"\\\\\n`*]){0,60}",
        step in any::<String>(),
        stack in "[a-zA-Z][a-zA-Z0-9-]{0,127}",
        times in prop_oneof![Just(1_usize), Just(400)],
    ) {
        let next_steps = vec![text!("{}", step.repeat(times)); 30];
        let alert = Alert { title: text!("{}", title.repeat(times)), description: text!("{}", description.repeat(times)), next_steps, ..findings() };
        let place = Place { stack: Some(stack), ..place() };
        let Publication { subject, message } = alert.publication(&place, AT);
        prop_assert!(message.len() < 256 * 1024 - 200, "{} bytes", message.len());
        prop_assert!(subject.encode_utf16().count() < 100 && !subject.chars().any(char::is_control), "{:?}", subject);
        let [chat, _, sms] = texts(&alert, &place);
        prop_assert!(sms.len() <= 140 && sms.is_ascii() && sms.contains("123456789012 eu-west-1"), "{:?}", sms);
        prop_assert!(serde_json::from_str::<Value>(&chat).is_ok());
    }
}
