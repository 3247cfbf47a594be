//! What is wrong with a security profile's behaviors or with a datapoint, field by field.

use std::fmt;

use thiserror::Error;

/// A field whose value cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{path}: {reason}")]
pub struct Invalid {
    /// The field's JSON path, as `behaviors[0].criteria.durationSeconds`.
    pub path: String,
    /// The behavior's name, where it has a valid one.
    pub behavior: Option<String>,
    /// What is wrong, beginning with the name of the field.
    pub reason: String,
}

impl Invalid {
    /// The text in the form that `ValidateSecurityProfileBehaviors` answers with: `Behavior Authorization is
    /// malformed. consecutiveDatapointsToAlarm 100000 should be in range[1,10]`.
    pub fn service_message(&self) -> String {
        match &self.behavior {
            Some(name) => format!("Behavior {name} is malformed. {}", self.reason),
            None => format!("Behavior is malformed. {}", self.reason),
        }
    }
}

/// Collects what is wrong with one behavior, so that all of it is reported at once.
pub(crate) struct Problems {
    path: String,
    behavior: Option<String>,
    found: Vec<Invalid>,
}

impl Problems {
    pub(crate) fn of(path: String) -> Self {
        Self { path, behavior: None, found: Vec::new() }
    }

    /// Names the behavior in what is added from here on.
    pub(crate) fn name(&mut self, behavior: &str) {
        self.behavior = Some(behavior.to_owned());
    }

    pub(crate) fn add(&mut self, field: &str, reason: impl fmt::Display) {
        self.found.push(Invalid {
            path: format!("{}.{field}", self.path),
            behavior: self.behavior.clone(),
            reason: reason.to_string(),
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(crate) fn into_vec(self) -> Vec<Invalid> {
        self.found
    }
}
