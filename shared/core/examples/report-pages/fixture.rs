//! Reports for tests and people to look at.

use std::collections::BTreeMap;

use fleetwarden_core::ids::CheckName;
use fleetwarden_core::ids::check::KNOWN;
use fleetwarden_core::message::Decided;
use fleetwarden_core::model::debt::Debt;
use fleetwarden_core::model::debt::Owned;
use fleetwarden_core::model::mitigation::Outcomes;
use fleetwarden_core::model::severity::Severity;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::report::AuditReport;
use fleetwarden_core::report::Changes;
use fleetwarden_core::report::CheckReport;
use fleetwarden_core::report::Example;
use fleetwarden_core::report::Failure;
use fleetwarden_core::report::MitigationReport;
use fleetwarden_core::report::NotStarted;
use fleetwarden_core::report::NotStartedReport;
use fleetwarden_core::report::Status;
use fleetwarden_core::report::Suppressed;
use fleetwarden_core::report::SuppressedReport;
use fleetwarden_core::timestamp::Millis;

/// 2026-11-23T06:00:00Z.
const BEGAN: Millis = Millis::from_seconds(1_795_413_600);
const DAY: i64 = 86_400;

/// Each report with the name of its page.
pub(crate) fn all() -> [(&'static str, AuditReport); 8] {
    [
        ("rich", rich()),
        ("compliant", compliant()),
        ("under-way", under_way()),
        ("hostile", worded(&HOSTILE)),
        ("harmless", worded(&["plain"; HOSTILE.len()])),
        ("full", full()),
        ("one", one()),
        ("million", million()),
    ]
}

/// Much of everything.
pub(crate) fn rich() -> AuditReport {
    let mut shared = check(
        "DEVICE_CERTIFICATE_SHARED_CHECK",
        Severity::Critical,
        214,
        "CERTIFICATE_SHARED_BY_MULTIPLE_DEVICES",
    );
    shared.changes = Some(Changes { new: 12, fixed: 3, returned: 2 });
    shared.decisions = vec![
        decided(Some("quarantine-shared"), "mitigate", Mode::Enforce, 150),
        decided(Some("quarantine-shared"), "mitigate", Mode::Observe, 60),
        decided(None, "report", Mode::Enforce, 4),
    ];
    let mut expiring = check(
        "DEVICE_CERTIFICATE_EXPIRING_CHECK",
        Severity::Medium,
        1_830,
        "CERTIFICATE_APPROACHING_EXPIRATION",
    );
    expiring.reasons.insert("CERTIFICATE_PAST_EXPIRATION".into(), 41);
    expiring.non_compliant += 41;
    expiring.severities.insert(Severity::Medium, 1_871);
    expiring.suppressed = 312;
    expiring.decisions = vec![decided(Some("lab-devices"), "suppress", Mode::Enforce, 1_871)];
    expiring.changes = Some(Changes { new: 96, fixed: 140, returned: 7 });
    let mut policies = check(
        "IOT_POLICY_OVERLY_PERMISSIVE_CHECK",
        Severity::Critical,
        3,
        "ALLOWS_BROAD_ACCESS_TO_IOT_DATA_PLANE_ACTIONS",
    );
    for (example, name) in policies.examples.iter_mut().zip([
        "fleet-default (version 4)",
        "lab-everything (version 1)",
        "gateway (version 12)",
    ]) {
        example.resource_type = "IOT_POLICY".into();
        example.resource = name.into();
    }
    let mut clients =
        check("CONFLICTING_CLIENT_IDS_CHECK", Severity::High, 18, "DUPLICATE_CLIENT_ID_ACROSS_CONNECTIONS");
    clients.examples.truncate(4);
    let mut new = check("QUANTUM_READINESS_CHECK", Severity::Unknown, 2, "KEY_TOO_CLASSICAL");
    new.reasons = BTreeMap::from([("KEY_TOO_CLASSICAL".into(), 1), (String::new(), 1)]);
    let mut hidden = ended("IOT_POLICY_POTENTIAL_MISCONFIGURATION_CHECK", Status::NonCompliant);
    hidden.suppressed = 2;
    let mut denied = ended("IOT_ROLE_ALIAS_OVERLY_PERMISSIVE_CHECK", Status::Failed);
    denied.failure = Some(Failure {
        code: "INSUFFICIENT_PERMISSIONS".into(),
        message: "The audit role may not call iam:GetRolePolicy.".into(),
    });
    let canceled = ended("IOT_ROLE_ALIAS_ALLOWS_ACCESS_TO_UNUSED_SERVICES_CHECK", Status::Canceled);
    let fine = [
        "CA_CERTIFICATE_EXPIRING_CHECK",
        "LOGGING_DISABLED_CHECK",
        "REVOKED_CA_CERTIFICATE_STILL_ACTIVE_CHECK",
    ];
    let mut report = AuditReport {
        schedule: Some("weekly-fleet".into()),
        checks: [shared, expiring, policies, clients, new, hidden, denied, canceled]
            .into_iter()
            .chain(fine.map(|name| ended(name, Status::Compliant)))
            .collect(),
        mitigations: vec![
            mitigation("fw-7f21c0de", "IN_PROGRESS", None, Some("rule quarantine-shared")),
            mitigation("by-hand-3", "FAILED", Some(BEGAN.plus_seconds(3_647)), Some("a command")),
        ],
        not_started: not_started(),
        confirmed: Some(Outcomes { succeeded: 71, failed: 4, ..Outcomes::default() }),
        suppressed: suppressed(),
        debt: Some(debt()),
        gaps: vec![
            "the executions of mitigation task by-hand-3 could not be listed (ThrottlingException): its \
                    counts may be behind"
                .into(),
        ],
        ..began()
    };
    report.sum();
    report
}

/// Nothing wrong.
pub(crate) fn compliant() -> AuditReport {
    let mut report =
        AuditReport { checks: KNOWN.map(|name| ended(name, Status::Compliant)).into(), ..began() };
    report.sum();
    report
}

/// Not yet at its end, and not all of it known.
pub(crate) fn under_way() -> AuditReport {
    let mut report = AuditReport {
        task_status: "IN_PROGRESS".into(),
        checks: vec![
            ended("LOGGING_DISABLED_CHECK", Status::Compliant),
            ended("CONFLICTING_CLIENT_IDS_CHECK", Status::InProgress),
            ended("DEVICE_CERTIFICATE_SHARED_CHECK", Status::WaitingForDataCollection),
        ],
        gaps: vec!["the checks were not triaged yet: what is new, fixed or returned is not known".into()],
        ..began()
    };
    report.sum();
    report
}

/// All that there is room for.
pub(crate) fn full() -> AuditReport {
    let checks = KNOWN.map(|name| check(name, Severity::Critical, 1_234, "CERTIFICATE_PAST_EXPIRATION"));
    let mut report = AuditReport { checks: checks.into(), ..began() };
    report.sum();
    report
}

/// One of everything.
pub(crate) fn one() -> AuditReport {
    let mut check = check("LOGGING_DISABLED_CHECK", Severity::Low, 1, "LOGGING_DISABLED");
    check.resources = Some(1);
    check.suppressed = 1;
    check.changes = Some(Changes { new: 1, fixed: 0, returned: 0 });
    let mut task = mitigation("fw-7f21c0de", "IN_PROGRESS", None, Some("rule logs"));
    task.findings = Outcomes { total: 1, ..Outcomes::default() };
    let mut suppressed = suppressed();
    suppressed.findings = 1;
    suppressed.suppressions.truncate(1);
    suppressed.suppressions.iter_mut().for_each(|alike| alike.count = 1);
    let debt = Debt {
        reviewed_at: BEGAN,
        suppressions: 1,
        indefinite: 1,
        non_compliant: 2,
        hidden: 1,
        ..Debt::default()
    };
    let mut report =
        AuditReport { checks: vec![check], mitigations: vec![task], suppressed, debt: Some(debt), ..began() };
    report.sum();
    report
}

/// A fleet of more than a million.
pub(crate) fn million() -> AuditReport {
    let mut report = rich();
    for check in &mut report.checks {
        check.resources = check.resources.map(|_| 12_345_678);
        check.non_compliant *= 1_000;
        check.severities.values_mut().for_each(|n| *n *= 1_000);
        check.reasons.values_mut().for_each(|n| *n *= 1_000);
        check.suppressed *= 10_000;
        if let Some(Changes { new, fixed, returned }) = &mut check.changes {
            (*new, *fixed, *returned) = (*new * 1_000, *fixed * 10_000, *returned * 100_000);
        }
    }
    report.sum();
    report
}

/// What names from outside may try.
pub(crate) const HOSTILE: [&str; 15] = [
    "<script>alert(1)</script>",
    "\" onmouseover=\"alert(1)",
    "'><img src=x onerror=alert(1)>",
    "a | b | c\n\n# heading\n| d |",
    "`code` ``` *bold* __strong__ ~~gone~~",
    "[click](javascript:alert(1)) ![x](http://evil.example/x.png)",
    "http://evil.example www.evil.example <http://evil.example>",
    "\u{202e}gpj.exe \u{2066}x\u{2069} \u{200b}\u{feff}",
    "&lt;b&gt; &#60; &amp;",
    "1. list\r\n- item\r\n---\r\n</style></title></td></table>",
    "-->]]>{{7*7}}${7*7}\\|\\`\u{0}\u{7}\u{1b}[31m",
    "# heading",
    "- item",
    "====",
    "LONG",
];

/// A report whose every text from outside is one of these, in turn; `LONG` is a name of 1,000 characters.
pub(crate) fn worded(words: &[&str]) -> AuditReport {
    let mut words =
        words.iter().cycle().map(|word| if *word == "LONG" { "x".repeat(1000) } else { (*word).to_owned() });
    let mut next = || words.next().unwrap_or_default();
    let mut checks: Vec<CheckReport> = Vec::new();
    for at in 0..12 {
        let mut bad = check("", Severity::High, 2, "");
        bad.check = CheckName::new(&format!("{at:02}{}", next()));
        bad.reasons = BTreeMap::from([(next(), 2)]);
        bad.examples = vec![Example {
            finding_id: next(),
            resource_type: next(),
            resource: next(),
            severity: Severity::High,
            reason: next(),
        }];
        bad.failure = Some(Failure { code: next(), message: next() });
        bad.decisions = vec![decided(Some(&next()), &next(), Mode::Observe, 2)];
        checks.push(bad);
    }
    let mitigation = |next: &mut dyn FnMut() -> String| MitigationReport {
        task_id: next(),
        task_status: next(),
        by: Some(next()),
        actions: BTreeMap::from([(CheckName::new(&next()), vec![next(), next()])]),
        ..mitigation("", "", None, None)
    };
    let aside = |next: &mut dyn FnMut() -> String| NotStarted {
        task_id: next(),
        state: next(),
        reason: Some(next()),
        by: next(),
        actions: BTreeMap::from([(CheckName::new(&next()), vec![next()])]),
        ..not_started().tasks.remove(0)
    };
    let suppressed = |next: &mut dyn FnMut() -> String| Suppressed {
        check: CheckName::new(&next()),
        count: 1,
        until: None,
        by: next(),
        owner: Some(next()),
        ticket: Some(next()),
        why: next(),
    };
    let owned = Owned { suppressions: 1, indefinite: 0, oldest: None };
    let mut report = AuditReport {
        account: next(),
        region: next(),
        task_id: next(),
        task_status: next(),
        schedule: Some(next()),
        checks,
        mitigations: (0..12).map(|_| mitigation(&mut next)).collect(),
        not_started: NotStartedReport {
            states: (0..12).map(|at| (format!("{at:02}{}", next()), 1)).collect(),
            tasks: (0..12).map(|_| aside(&mut next)).collect(),
            unknown: false,
        },
        suppressed: SuppressedReport {
            findings: 12,
            suppressions: (0..12).map(|_| suppressed(&mut next)).collect(),
            more: true,
        },
        debt: Some(Debt {
            owners: (0..12).map(|at| (format!("{at:02}{}", next()), owned.clone())).collect(),
            ..debt()
        }),
        gaps: (0..12).map(|_| next()).collect(),
        ..began()
    };
    report.sum();
    report
}

fn began() -> AuditReport {
    AuditReport {
        account: "123456789012".into(),
        region: "eu-central-1".into(),
        task_id: "4e2bcd1ccbc2a5dd15292a82ab80c380".into(),
        task_status: "COMPLETED".into(),
        started_at: BEGAN,
        made_at: BEGAN.plus_seconds(7_200),
        ..AuditReport::default()
    }
}

fn ended(name: &str, status: Status) -> CheckReport {
    let done = matches!(status, Status::Compliant | Status::NonCompliant);
    CheckReport {
        check: CheckName::new(name),
        status,
        resources: done.then_some(20_417),
        non_compliant: 0,
        suppressed: 0,
        severities: BTreeMap::new(),
        reasons: BTreeMap::new(),
        decisions: vec![],
        changes: None,
        oldest: None,
        examples: vec![],
        failure: None,
    }
}

fn check(name: &str, severity: Severity, count: u64, reason: &str) -> CheckReport {
    let example = |at: u64| Example {
        finding_id: format!("{at:08x}-51c6-4b0e-9d52-0f1e2d3c4b5a"),
        resource_type: "DEVICE_CERTIFICATE".into(),
        resource: format!("{:016x}", (at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)).repeat(4),
        severity,
        reason: "The resource does not comply with what the check asks for.".into(),
    };
    CheckReport {
        non_compliant: count,
        severities: BTreeMap::from([(severity, count)]),
        reasons: BTreeMap::from([(reason.into(), count)]),
        oldest: Some(BEGAN.plus_seconds(-97 * DAY)),
        examples: (0..count.min(20)).map(example).collect(),
        ..ended(name, Status::NonCompliant)
    }
}

fn mitigation(id: &str, status: &str, ended_at: Option<Millis>, by: Option<&str>) -> MitigationReport {
    let check = CheckName::new("DEVICE_CERTIFICATE_SHARED_CHECK");
    MitigationReport {
        task_id: id.into(),
        task_status: status.into(),
        started_at: BEGAN.plus_seconds(3_600),
        ended_at,
        by: by.map(str::to_owned),
        actions: BTreeMap::from([(check, vec!["quarantine".into(), "tell-security".into()])]),
        findings: Outcomes { total: 25, succeeded: 21, failed: 3, skipped: 1, canceled: 0 },
    }
}

fn decided(rule: Option<&str>, outcome: &str, mode: Mode, findings: u64) -> Decided {
    Decided { rule: rule.map(Into::into), outcome: outcome.into(), mode, findings }
}

fn not_started() -> NotStartedReport {
    let task = |id: &str, state: &str, reason: Option<&str>, findings| NotStarted {
        task_id: id.into(),
        state: state.into(),
        reason: reason.map(Into::into),
        until: (state == "held").then(|| BEGAN.plus_seconds(DAY)),
        decided_at: Some(BEGAN.plus_seconds(900)),
        by: "rule quarantine-shared".into(),
        actions: BTreeMap::from([(
            CheckName::new("DEVICE_CERTIFICATE_SHARED_CHECK"),
            vec!["quarantine".into()],
        )]),
        findings,
    };
    let denied =
        "StartAuditMitigationActionsTask: InvalidRequestException: no mitigation action 'quarantine'";
    NotStartedReport {
        states: BTreeMap::from([("held".into(), 1), ("observed".into(), 7), ("refused".into(), 1)]),
        tasks: vec![
            task("fw-0badc0de", "refused", Some(denied), 25),
            task("fw-5ea1ed00", "held", Some("outside of the windows"), 14),
            task("fw-0b5e7ed0", "observed", None, 25),
        ],
        unknown: false,
    }
}

fn suppressed() -> SuppressedReport {
    SuppressedReport {
        findings: 314,
        suppressions: vec![
            Suppressed {
                check: CheckName::new("DEVICE_CERTIFICATE_EXPIRING_CHECK"),
                count: 300,
                until: Some(BEGAN.plus_seconds(40 * DAY)),
                by: "standing lab-devices".into(),
                owner: Some("lab@example.com".into()),
                ticket: Some("SEC-142".into()),
                why: "The lab rotates its certificates at the end of the year.".into(),
            },
            Suppressed {
                check: CheckName::new("DEVICE_CERTIFICATE_EXPIRING_CHECK"),
                count: 12,
                until: None,
                by: "by hand".into(),
                owner: None,
                ticket: None,
                why: "old demo units, see Tom".into(),
            },
            Suppressed {
                check: CheckName::new("IOT_POLICY_POTENTIAL_MISCONFIGURATION_CHECK"),
                count: 2,
                until: Some(BEGAN.plus_seconds(6 * DAY)),
                by: "rule reviewed-denies".into(),
                owner: Some("platform@example.com".into()),
                ticket: None,
                why: "The denies were reviewed and are meant as they work.".into(),
            },
        ],
        more: false,
    }
}

fn debt() -> Debt {
    let owned = |suppressions, indefinite| Owned {
        suppressions,
        indefinite,
        oldest: Some(BEGAN.plus_seconds(-400 * DAY)),
    };
    Debt {
        reviewed_at: BEGAN.plus_seconds(-6 * 3600),
        suppressions: 361,
        indefinite: 12,
        lapsed: 4,
        ending: 31,
        ownerless: 16,
        by_hand: 16,
        idle: 9,
        oldest: Some(BEGAN.plus_seconds(-400 * DAY)),
        non_compliant: 2_420,
        hidden: 314,
        owners: BTreeMap::from([
            ("lab@example.com".into(), owned(300, 0)),
            ("platform@example.com".into(), owned(45, 0)),
            (String::new(), owned(16, 12)),
        ]),
    }
}
