//! What a review did or would do, for people: the standing suppressions first, then what was modified outside
//! Fleetwarden, what ends, and the debt.

use crate::output::{BAD, Cell, Kind, Layout, Painted, Table, counted, wrapped};
use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What a review answers, as far as people read it. A review that has no time left answers that it continues.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Review {
    continues: bool,
    repeated: bool,
    dry_run: bool,
    mode: String,
    kept_by: Option<String>,
    standing: BTreeMap<String, Standing>,
    gone_from_policy: u64,
    debt: Debt,
    ending: Vec<Group>,
    ended: Vec<Group>,
    drift: Vec<Group>,
    gaps: Vec<String>,
    alerts: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Standing {
    stage: Option<String>,
    wanted: u64,
    created: u64,
    updated: u64,
    deleted: u64,
    by_hand: u64,
    failed: u64,
    lapsed: bool,
    error: Option<String>,
    unknown: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Debt {
    suppressions: u64,
    ending: u64,
    indefinite: u64,
    ownerless: u64,
    idle: u64,
    non_compliant: u64,
    hidden: u64,
}

/// Suppressions that are alike.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Group {
    by: String,
    owner: Option<String>,
    on: String,
    what: String,
    suppressions: u64,
    back: Option<u64>,
}

/// All of it.
///
/// # Errors
/// If the answer is none of a review.
pub(super) fn text(answer: &Value, layout: Layout) -> Result<Painted> {
    let review = Review::deserialize(answer).context("the answer is not one of suppression-review")?;
    if review.continues {
        let text = "The review has more to do than one invocation has time for. It continues by itself; its result is in \
                    the log of suppression-review.";
        return Ok(wrapped(text, layout.of_text()).into());
    }
    if review.repeated {
        return Ok("This review was done before.".into());
    }
    let mut parts = vec![Painted::from(wrapped(&review.headline(), layout.of_text()))];
    parts.extend((!review.standing.is_empty()).then(|| review.standing(layout)));
    parts.extend(review.not_done().map(|lines| wrapped(&lines, layout.of_text()).into()));
    for (title, groups) in [
        ("Modified outside Fleetwarden:", &review.drift),
        ("End soon:", &review.ending),
        ("Have ended:", &review.ended),
    ] {
        parts.extend((!groups.is_empty()).then(|| titled(title, &groups_of(groups).render(layout))));
    }
    parts.push(wrapped(&review.debt.sentence(), layout.of_text()).into());
    let mut out = Painted::default();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            out.push("\n\n");
        }
        out.append(part);
    }
    Ok(out)
}

fn titled(title: &str, table: &Painted) -> Painted {
    let mut out = Painted::from(title);
    out.push("\n").append(table);
    out
}

impl Review {
    fn headline(&self) -> String {
        let alerts = counted(self.alerts, "alert");
        let (what, sent) = match (self.dry_run, self.mode.as_str()) {
            (true, "observe") => (
                "Dry run: nothing was changed, and in mode observe the review would change nothing either.",
                format!("It would send {alerts}."),
            ),
            (true, _) => ("Dry run: nothing was changed.", format!("The review would send {alerts}.")),
            (false, "observe") => {
                ("Reviewed in mode observe: nothing was changed.", format!("Sent {alerts}."))
            }
            (false, _) => ("Reviewed.", format!("Sent {alerts}.")),
        };
        let other = self.kept_by.as_ref().map(|slot| {
            format!(
                " Another review reconciles the standing suppressions now ({slot}); this one left them alone."
            )
        });
        format!("{what} {sent}{}", other.unwrap_or_default())
    }

    /// A row for each standing suppression of the policy.
    fn standing(&self, layout: Layout) -> Painted {
        let changes =
            self.standing.values().any(|standing| standing.stage.is_none()) && self.mode == "enforce";
        let deeds = if changes && !self.dry_run {
            ["created", "updated", "deleted"]
        } else {
            ["to create", "to update", "to delete"]
        };
        let titles =
            [&["standing suppression", "wanted"][..], &deeds, &["by hand", "failed", "state"]].concat();
        let mut table = Table::new(&titles).with(Kind::Number, 1..7);
        for (name, standing) in &self.standing {
            let Standing { wanted, created, updated, deleted, by_hand, failed, .. } = standing;
            let counts =
                [wanted, created, updated, deleted, by_hand, failed].map(|count| count.to_string().into());
            let cells = [Cell::from(name)].into_iter().chain(counts);
            table.row(cells.chain([standing.state()]));
        }
        table.render(layout)
    }

    /// What is not in the table: what the policy no longer has, and what could not be done or found out.
    fn not_done(&self) -> Option<String> {
        let mut lines = Vec::new();
        if self.gone_from_policy > 0 {
            let done = if self.dry_run || self.mode != "enforce" { "to delete" } else { "deleted" };
            let count = counted(self.gone_from_policy, "suppression");
            lines.push(format!("{count} {done}: the policy no longer has what made them."));
        }
        for (name, Standing { error, unknown, .. }) in &self.standing {
            lines.extend(error.as_ref().map(|error| format!("{name}: {error}")));
            lines.extend(
                unknown.iter().map(|(check, why)| format!("{name}, {check}: members unknown: {why}")),
            );
        }
        lines.extend(self.gaps.iter().map(|gap| format!("Not found out: {gap}")));
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

impl Standing {
    fn state(&self) -> Cell {
        match self {
            Self { error: Some(_), .. } => Cell::styled("failed", BAD),
            Self { unknown, .. } if !unknown.is_empty() => Cell::state("unknown"),
            Self { lapsed: true, .. } => "ended".into(),
            Self { stage: Some(stage), .. } => stage.into(),
            _ => "live".into(),
        }
    }
}

fn groups_of(groups: &[Group]) -> Table {
    let has_back = groups.iter().any(|group| group.back.is_some());
    let has_day = groups.iter().any(|group| !group.on.is_empty());
    let mut titles = vec![if has_day { "on" } else { "what" }, "made by", "owner", "suppressions"];
    titles.extend(has_back.then_some("back"));
    let mut table = Table::new(&titles).with(Kind::Word, [0]).with(Kind::Number, 3..5);
    for Group { by, owner, on, what, suppressions, back } in groups {
        let first = if has_day { on } else { what };
        let mut row =
            vec![first.clone(), by.clone(), owner.clone().unwrap_or_default(), suppressions.to_string()];
        row.extend(has_back.then(|| back.map(|back| back.to_string()).unwrap_or_default()));
        table.row(row);
    }
    table
}

impl Debt {
    fn sentence(&self) -> String {
        let Self { suppressions, ending, indefinite, ownerless, idle, non_compliant, hidden } = self;
        format!(
            "Debt: {} hide {hidden} of {non_compliant} non-compliant resources. {ending} end within 30 days, {indefinite} \
             never end, {ownerless} have no owner, {idle} hide nothing.",
            counted(*suppressions, "suppression")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(dry_run: bool, mode: &str) -> Value {
        json!({
            "slot": "r", "dryRun": dry_run, "mode": mode, "keptBy": null, "goneFromPolicy": 2,
            "standing": {
                "presses": {"wanted": 1240, "created": 12, "updated": 0, "deleted": 3, "unchanged": 1225, "byHand": 1},
                "old-lamps": {"wanted": 4, "created": 4, "stage": "shadow"},
                "pumps": {"wanted": 0, "unknown": {"CONFLICTING_CLIENT_IDS_CHECK": "ThrottlingException: Rate\u{1b}[2J exceeded"}},
                "gates": {"wanted": 7, "failed": 1, "error": "LimitExceededException: too many suppressions"},
            },
            "debt": {"reviewedAt": 1, "suppressions": 1260, "indefinite": 2, "lapsed": 0, "ending": 40, "ownerless": 1,
                "byHand": 1, "idle": 5, "nonCompliant": 2000, "hidden": 1255, "owners": {}},
            "ending": [{"by": "rule old-certificates", "owner": "lab", "on": "2026-12-01", "withinDays": 7,
                "suppressions": 40, "checks": {}, "examples": ["lamp-1"]}],
            "ended": [{"by": "rule r", "on": "2026-11-20", "suppressions": 2, "checks": {}, "back": 1}],
            "drift": [{"by": "standing presses", "owner": "lab\u{202e}", "what": "deleted", "suppressions": 3}],
            "gaps": ["the last audits: AccessDeniedException"], "alerts": 4, "audits": {"schedules": 1},
        })
    }

    fn shown(answer: &Value, columns: u16) -> String {
        let text = text(answer, Layout::Columns(columns)).unwrap().plain();
        assert!(text.lines().all(|line| line.chars().count() <= columns.into()), "{text}");
        text
    }

    #[test]
    fn what_a_review_would_do_fits_the_terminal() {
        insta::assert_snapshot!(
            [80, 120].map(|columns| shown(&answer(true, "enforce"), columns)).join("\n\n----\n\n")
        );
    }

    #[test]
    fn what_a_review_did_is_told_as_done() {
        let continues = json!({"slot": "r", "continues": true, "phase": "read"});
        let all = [answer(false, "enforce"), answer(false, "observe"), answer(true, "observe"), continues];
        insta::assert_snapshot!(all.map(|answer| shown(&answer, 80)).join("\n\n----\n\n"));
        assert!(text(&json!([1]), Layout::Wide).is_err());
    }
}
