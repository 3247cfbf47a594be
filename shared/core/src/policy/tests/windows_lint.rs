//! What lint says of windows and of what the policy says of actions.

use super::lint::told;

/// A policy with these lines at its head, and a rule that mitigates with these windows, from its ninth line on.
fn with(head: &str, own: &str) -> String {
    format!(
        "version: 1\n{head}\nrules:\n  - name: night\n    match: {{ check: REVOKED_DEVICE_CERT_CHECK }}\n    mitigate:\n      actions: \
         [Deactivate, Publish]\n{own}"
    )
}

const OFFICE: &str =
    "windows: { zone: Europe/Berlin, open: [{ days: [Mon, Tue, Wed, Thu, Fri], hours: 09:00-17:00 }] }";

#[test]
fn windows_that_never_open_alone_or_together() {
    let own = |windows: &str| format!("      windows: {windows}\n");
    let action = |name: &str, windows: &str| format!("actions: {{ {name}: {{ windows: {windows} }} }}");
    let never = "{ zone: UTC, freeze: [{ from: 2026-01-01, to: 2099-12-31 }] }";
    let both = "{ zone: UTC, freeze: [{ from: 01-01, to: 06-30 }, { from: 07-01, to: 12-31 }] }";
    let two = |one: &str, other: &str| {
        format!("actions:\n  Deactivate: {{ windows: {one} }}\n  Publish: {{ windows: {other} }}")
    };
    insta::assert_snapshot!(
        [
            // Alone.
            told(&with("", &own(never))),
            told(&with("", &own(both))),
            told(&with(&action("Publish", never), "")),
            // With those of the policy.
            told(&with(OFFICE, &own("{ open: [{ hours: 22:00-06:00 }] }"))),
            told(&with(
                OFFICE,
                &own("{ open: [{ hours: 08:00-09:30 }, { days: [Sun] }, { hours: 17:00-18:00 }] }")
            )),
            told(&with(&format!("{OFFICE}\n{}", action("Publish", "{ open: [{ days: [Sat] }] }")), "")),
            told(&with(
                &format!(
                    "{OFFICE}\n{}",
                    action("Publish", "{ open: [{ days: [Fri, Sat] }, { hours: 18:00-19:00 }] }")
                ),
                ""
            )),
            // With those of an action, and of two actions.
            told(&with(
                &action("Publish", "{ zone: UTC, open: [{ hours: 12:00-13:00 }] }"),
                &own("{ zone: UTC, open: [{ hours: 13:00-14:00 }] }")
            )),
            told(&with(
                &two("{ zone: UTC, open: [{ days: [Mon] }] }", "{ zone: UTC, open: [{ days: [Tue] }] }"),
                ""
            )),
            // What the policy never lets is said once.
            told(&with(&format!("windows: {never}"), &own("{ open: [{ hours: 22:00-06:00 }] }"))),
            // A zone that is taken over is doubted once, and one that does not exist is an error once.
            told(&with("windows: { zone: EST }", &own("{ open: [{ days: [Sun] }] }"))),
            told(&with("windows: { zone: Europe/Berln }", &own("{ zone: EST, open: [{ days: [Sun] }] }"))),
        ]
        .join("\n\n")
    );
    let cases = [
        with("", &own("{ zone: UTC, open: [{ hours: 22:00-06:00 }], freeze: [{ from: 12-20, to: 01-06 }] }")),
        with(OFFICE, &own("{ open: [{ hours: 16:59-20:00 }] }")),
        with(OFFICE, &own("{ freeze: [{ from: 12-20, to: 01-06 }] }")),
        with(
            &format!("{OFFICE}\n{}", action("Publish", "{ open: [{ days: [Fri] }] }")),
            &own("{ open: [{ days: [Fri, Mon] }] }"),
        ),
        with(&two("{ zone: UTC, open: [{ days: [Mon] }] }", "{ zone: UTC, open: [{ days: [Mon] }] }"), ""),
    ];
    for case in cases {
        assert_eq!(told(&case), "nothing", "{case}");
    }
}

#[test]
fn an_action_that_nothing_applies_or_that_there_is_not() {
    let of = |name: &str| {
        with(&format!("actions: {{ {name}: {{ windows: {{ zone: UTC, open: [{{ days: [Mon] }}] }} }} }}"), "")
    };
    insta::assert_snapshot!(
        [told(&of("Quarantine")), told(&of("Deactvate")), told(&of("Mystery"))].join("\n\n")
    );
    assert_eq!(told(&of("Deactivate")), "nothing");
}
