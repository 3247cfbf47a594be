//! Counts the findings that are back after the suppressions that hid them have expired.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_core::ids::CheckName;
use fleetwarden_core::pages::Pages;

use crate::list::FindingsOf;
use crate::list::Lister;
use crate::snapshot::RETURN_ALERTED;
use crate::state::LastAudit;
use crate::summary::Summary;

/// Counts what the audits since found again of what expired suppressions had hidden.
///
/// # Errors
/// Why not all findings could be read. Then nothing is counted, and the next review reads them again: a part of the
/// findings does not show that nothing is back.
pub(crate) async fn count(
    lister: &Lister<'_>,
    audits: &BTreeMap<CheckName, LastAudit>,
    summary: &mut Summary,
) -> Result<(), String> {
    let audited = summary.ended.iter().filter(|ended| ended.audited);
    let mut wanted: Vec<u128> = audited.clone().flat_map(|ended| ended.keys.iter().copied()).collect();
    wanted.sort_unstable();
    let checks: BTreeSet<CheckName> = audited.flat_map(|ended| ended.checks.keys().cloned()).collect();
    let mut found = Vec::new();
    for check in &checks {
        let Some(audit) = audits.get(check) else { continue };
        found.extend(find(lister, audit, check, &wanted).await?);
    }
    found.sort_unstable();
    found.dedup();
    for ended in summary.ended.iter_mut().filter(|ended| ended.audited) {
        let back = ended.keys.iter().filter(|key| found.binary_search(key).is_ok()).count();
        ended.back = Some(back as u64);
    }
    for entry in &mut summary.snapshot.entries {
        if wanted.binary_search(&entry.key).is_ok() {
            entry.flags |= RETURN_ALERTED;
        }
    }
    Ok(())
}

/// The wanted keys, which are sorted, among the findings of a check.
async fn find(
    lister: &Lister<'_>,
    audit: &LastAudit,
    check: &CheckName,
    wanted: &[u128],
) -> Result<Vec<u128>, String> {
    let (mut found, mut at) = (Vec::new(), Pages::default());
    loop {
        if lister.budget.is_over() {
            return Err("what is back: there was no time to read all findings".into());
        }
        let findings = FindingsOf { task: &audit.task, check, suppressed: false };
        let keys = lister.findings(findings, &mut at).await;
        let keys = keys.map_err(|error| format!("what is back: {error}"))?;
        found.extend(keys.into_iter().filter(|key| wanted.binary_search(key).is_ok()));
        if at.token().is_none() {
            return Ok(found);
        }
    }
}
