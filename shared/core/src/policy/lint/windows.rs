//! Windows that never open, alone or together with others, and those of actions that nothing applies.

use super::super::Diagnostic;
use super::super::Policy;
use super::super::Windows;
use super::super::windows::Calendar;
use super::super::windows::Owner;
use super::super::windows::SEARCHED_DAYS;
use super::super::windows::listed;
use super::Actions;
use super::actions::undefined;
use crate::nearest::did_you_mean;
use crate::timestamp::Millis;

impl Policy {
    pub(super) fn lint_windows(&self, at: Millis, found: &mut Vec<Diagnostic>) {
        for windows in self.all_windows() {
            match Calendar::new([windows]) {
                Err(error) => found.extend(windows.zone_place.map(|_| error)),
                Ok(calendar) => {
                    found.extend(calendar.doubts());
                    if calendar.next_opening(at).is_none() {
                        let what = format!(
                            "no window opens within the next {SEARCHED_DAYS} days: {}",
                            nothing(&windows.of)
                        );
                        found.push(Diagnostic::warning(windows.place, what));
                    }
                }
            }
        }
        let of_policy: Vec<&Windows> = self.windows.iter().collect();
        if !open(&of_policy, at) {
            return;
        }
        for windows in self.actions.values() {
            lint_together(windows, &of_policy, at, found);
        }
        for of in self.mitigations() {
            let others: Vec<&Windows> = self.windows_of(None, of.actions).collect();
            // What is never open by itself, or with the policy's, is said where it stands.
            let meets = |windows: &&Windows| {
                open(&[*windows], at)
                    && open(&of_policy.iter().copied().chain([*windows]).collect::<Vec<_>>(), at)
            };
            if !others.iter().all(meets) {
                continue;
            }
            if !open(&others, at) {
                let what = format!("{}: the rule mitigates nothing", apart(&others));
                found.push(Diagnostic::warning(of.place, what));
            } else if let Some(windows) = of.windows {
                lint_together(windows, &others, at, found);
            }
        }
    }

    pub(super) fn lint_action_settings(&self, actions: Option<&Actions>, found: &mut Vec<Diagnostic>) {
        let used: Vec<&str> = self.mitigations().flat_map(|of| of.actions).map(String::as_str).collect();
        for (name, windows) in &self.actions {
            let missing = actions.filter(|actions| !actions.kinds.contains_key(name));
            if let Some(what) = missing.and_then(|actions| undefined(name, actions)) {
                found.push(Diagnostic::error(windows.place, what));
            } else if !used.contains(&name.as_str()) {
                let near = did_you_mean(name, used.iter().copied());
                let what = format!("no rule applies the action '{name}'{near}: this is only for commands");
                found.push(Diagnostic::warning(windows.place, what));
            }
        }
    }
}

/// Says that windows are never open while others are, or which one of them never is.
fn lint_together(windows: &Windows, others: &[&Windows], at: Millis, found: &mut Vec<Diagnostic>) {
    if others.is_empty() || !open(&[windows], at) || !open(others, at) {
        return;
    }
    let together = |windows: &Windows| {
        let all: Vec<&Windows> = others.iter().copied().chain([windows]).collect();
        open(&all, at)
    };
    if !together(windows) {
        let all: Vec<&Windows> = others.iter().copied().chain([windows]).collect();
        let what = format!("{}: {}", apart(&all), nothing(&windows.of));
        found.push(Diagnostic::warning(windows.place, what));
        return;
    }
    for window in windows.open.iter().flatten() {
        let alone = Windows { open: Some(vec![window.clone()]), ..windows.clone() };
        if !together(&alone) {
            let names: Vec<String> = others.iter().map(|other| other.of.windows()).collect();
            let what = format!(
                "this window is outside of {} within the next {SEARCHED_DAYS} days: nothing starts in it",
                listed(&names)
            );
            found.push(Diagnostic::warning(window.place, what));
        }
    }
}

/// Whether windows are ever open together. Where a zone does not exist, that is what there is to say.
fn open(windows: &[&Windows], at: Millis) -> bool {
    Calendar::new(windows.iter().copied()).map_or(true, |calendar| calendar.next_opening(at).is_some())
}

fn apart(windows: &[&Windows]) -> String {
    let names: Vec<String> = windows.iter().map(|windows| windows.of.name()).collect();
    format!("the windows of {} are never open together within the next {SEARCHED_DAYS} days", listed(&names))
}

/// What windows that never open mean.
fn nothing(of: &Owner) -> String {
    match of {
        Owner::Policy => "nothing is mitigated".to_owned(),
        Owner::Rule(_) => "the rule mitigates nothing".to_owned(),
        Owner::Action(name) => format!("nothing is mitigated with {name}"),
    }
}
