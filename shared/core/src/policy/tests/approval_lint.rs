//! What lint says of approvals that nothing or everything asks for, or that come too late, and of budgets that hold nothing.

use super::lint::told;

fn with(head: &str, matches: &str, mitigate: &str) -> String {
    format!(
        "version: 1\n{head}\nrules:\n  - name: shared\n    match: {{ check: DEVICE_CERTIFICATE_SHARED_CHECK{matches} }}\n    mitigate:\n      \
         {mitigate}\n"
    )
}

fn of_alarms(mitigate: &str) -> String {
    format!(
        "version: 1\nrules:\n  - name: lamps\n    alarm: {{ profile: Lamps }}\n    mitigate: {{ {mitigate} }}\n"
    )
}

const OFFICE: &str =
    "windows: { zone: UTC, open: [{ days: [Mon, Tue, Wed, Thu, Fri], hours: 09:00-17:00 }] }";

#[test]
fn approvals_that_are_never_or_always_asked_for() {
    let some = "actions: Deactivate\n      devices: { most: 2, connected: 1 }\n      approval: ";
    insta::assert_snapshot!(
        [
            told(&with("", "", &format!("{some}{{ always: true, severity: HIGH }}"))),
            told(&with("", "", &format!("{some}{{ outsideOfWindow: true, severity: LOW }}"))),
            told(&with("budgets: none", "", &format!("{some}{{ overBudget: true }}"))),
            told(&with(
                "budgets: [{ most: 1, within: 1h, actions: Quarantine }]",
                "",
                &format!("{some}{{ overBudget: true }}")
            )),
            told(&with("", ", severity: [HIGH, MEDIUM]", &format!("{some}{{ severity: HIGH }}"))),
            told(
                &with("", "", &format!("{some}{{ severity: HIGH }}"))
                    .replace("CERTIFICATE_SHARED", "CERTIFICATE_EXPIRING"),
            ),
            // Ten findings in a task by the default budget, of two devices each, of which one is connected.
            told(&with("", "", &format!("{some}{{ devices: 20 }}"))),
            told(&with("", "", &format!("{some}{{ devices: 19, connected: 10 }}"))),
            told(&with("budgets: none", "", &format!("{some}{{ devices: 50 }}"))),
            told(&with("", "", "actions: Deactivate\n      approval: { devices: 10 }")),
            told(&with("", "", "actions: Deactivate\n      devices: any\n      approval: { connected: 0 }")),
            told(&with("", "", "actions: Quarantine\n      approval: { devices: 5 }")),
            told(&with(
                "",
                "",
                "actions: Deactivate\n      devices: { most: 3 }\n      approval: { connected: 2 }"
            )),
            told(&of_alarms("actions: Quarantine, devices: { most: 3 }, approval: { devices: 25 }")),
        ]
        .join("\n\n")
    );
    let cases = [
        with("", "", "actions: Deactivate\n      approval: always"),
        with("", "", &format!("{some}{{ always: true, overBudget: true }}")),
        with(OFFICE, "", &format!("{some}{{ always: true, outsideOfWindow: true }}")),
        with("", "", &format!("{some}{{ devices: 19, connected: 9 }}")),
        with("", ", severity: [CRITICAL, LOW]", &format!("{some}{{ severity: HIGH }}")),
        with("", "", &format!("{some}{{ severity: CRITICAL }}")),
        with("", "", &format!("{some}{{ severity: MEDIUM }}"))
            .replace("CERTIFICATE_SHARED", "CERTIFICATE_EXPIRING"),
        with("", "", "actions: Mystery\n      approval: { devices: 10 }"),
    ];
    for case in cases {
        assert_eq!(told(&case), "nothing", "{case}");
    }
}

#[test]
fn approvals_that_come_too_late_for_the_next_window() {
    let own = "actions: Deactivate\n      windows: { zone: UTC, open: [{ days: [Sun], hours: 02:00-06:00 }], freeze: [{ from: 12-01, to: 01-31 }] }\n      approval: ";
    let actions = "actions: { Deactivate: { windows: { zone: UTC, open: [{ hours: 08:00-10:00 }] } } }";
    insta::assert_snapshot!(
        [
            told(&with(OFFICE, "", "actions: Deactivate\n      approval: { severity: HIGH, within: 63h }")),
            told(&with("", "", &format!("{own}always"))),
            told(&with(
                &format!("{OFFICE}\n{actions}"),
                "",
                "actions: Deactivate\n      approval: { severity: HIGH, within: 23h }"
            )),
        ]
        .join("\n\n")
    );
    let cases = [
        with(OFFICE, "", "actions: Deactivate\n      approval: { severity: HIGH, within: 64h }"),
        with("", "", &format!("{own}{{ always: true, outsideOfWindow: true }}")),
        with("", "", &format!("{own}{{ always: true, within: 164h }}")),
        with(
            "windows: { zone: UTC, freeze: [{ from: 12-01, to: 01-31 }] }",
            "",
            "actions: Deactivate\n      approval: always",
        ),
    ];
    for case in cases {
        assert_eq!(told(&case), "nothing", "{case}");
    }
}

#[test]
fn budgets_that_never_hold_anything_because_another_does_first() {
    let with = |budgets: &str| with(&format!("budgets: [{budgets}]"), "", "actions: [Deactivate, Publish]");
    insta::assert_snapshot!(
        [
            told(&with("{ most: 10, within: 1h }, { most: 10, within: 1d }")),
            told(&with("{ most: 5, within: 1d }, { most: 10, within: 1h, actions: [Deactivate], rules: shared }")),
            told(&with("{ most: 10, orShare: 2%, within: 1h, actions: Publish }, { most: 10, orShare: 2%, within: 2h, actions: [Publish, Deactivate] }")),
        ]
        .join("\n\n")
    );
    let cases = [
        "{ most: 10, within: 1h }, { most: 11, within: 1d }",
        "{ most: 5, within: 1h }, { most: 10, within: 1d, actions: Deactivate }",
        "{ most: 5, orShare: 1%, within: 1d }, { most: 10, within: 1h }",
        "{ most: 5, within: 1d, actions: Deactivate }, { most: 10, within: 1h }",
        "{ most: 5, within: 1d, actions: Deactivate }, { most: 10, within: 1h, actions: [Deactivate, Publish] }",
        "{ most: 5, within: 1d, rules: shared }, { most: 10, within: 1h, actions: Deactivate }",
    ];
    for case in cases {
        assert_eq!(told(&with(case)), "nothing", "{case}");
    }
}
