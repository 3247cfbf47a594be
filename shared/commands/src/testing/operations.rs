//! Every command of a function by one table: good input, each kind of bad input for each of its members, throttling, and
//! retries.

use std::collections::BTreeSet;

use fleetwarden_core::api::Operation;
use fleetwarden_core::api::shape::Shape;
use lambda_runtime::Diagnostic;
use serde_json::Value;
use serde_json::json;

use super::Bad;
use super::LocalServices;
use super::bad_inputs;
use super::is_of;
use super::merged;
use super::put;
use crate::failure::Failure;

/// What to ask, where to look in the answer, and what is there.
pub type Shown = (Value, &'static str, Value);

/// A command with good input.
#[derive(Debug)]
pub struct Row<F: 'static> {
    /// Its name.
    pub name: &'static str,
    /// The members, in a fixture.
    pub input: fn(&F) -> Value,
    /// For a change: what shows that it was made.
    pub shows: Option<fn(&F) -> Shown>,
}

/// A function and the services behind it, prepared so that every command of a table can be done.
pub trait Fixture: Sized + 'static {
    /// The operations of the function.
    const OPERATIONS: &'static [Operation];
    /// A good key of a map.
    const KEY: &'static str;

    /// A new one.
    fn new() -> impl Future<Output = Self>;

    /// Invokes the function.
    fn invoke(&self, event: Value) -> impl Future<Output = Result<Value, Failure>>;

    /// The services behind it.
    fn services(&self) -> &LocalServices;

    /// How many tasks there are that this command, once done, leaves at the service; and how many there should be.
    fn tasks(&self, command: &str) -> (usize, usize);

    /// Whether the service has no token for this command, so that a second try without an answer could be one too many.
    fn is_unsafe_to_repeat(_command: &str) -> bool {
        false
    }
}

/// A command that changes nothing.
pub const fn reads<F>(name: &'static str, input: fn(&F) -> Value) -> Row<F> {
    Row { name, input, shows: None }
}

/// A command that changes something.
pub const fn changes<F>(name: &'static str, input: fn(&F) -> Value, shows: fn(&F) -> Shown) -> Row<F> {
    Row { name, input, shows: Some(shows) }
}

/// A command with one member, to look at what is there.
pub fn named(command: &str, member: &str, name: &str) -> Value {
    json!({"command": command, member: name})
}

/// An event without its command.
pub fn without_command(mut event: Value) -> Value {
    put(&mut event, &["command".to_owned()], None);
    event
}

/// The table of a function's commands.
#[derive(Debug)]
pub struct Table<F: 'static>(pub &'static [Row<F>]);

impl<F: Fixture> Row<F> {
    fn operation(&self) -> &'static Operation {
        let found = F::OPERATIONS.iter().find(|operation| operation.name == self.name);
        let Some(operation) = found else { unreachable!("{} is no operation", self.name) };
        operation
    }

    fn event(&self, fixture: &F) -> Value {
        merged(json!({"command": self.name}), (self.input)(fixture))
    }

    /// Compares what there is with what the command is to bring about.
    async fn assert_done(&self, fixture: &F, when: &str) {
        let Some(shows) = self.shows else { return };
        let (event, pointer, wanted) = shows(fixture);
        assert_eq!(look(fixture, event, pointer).await, wanted, "{} {when}", self.name);
        let (is, should_be) = fixture.tasks(self.name);
        assert_eq!(is, should_be, "{} {when}: tasks", self.name);
    }

    async fn assert_not_done(&self, fixture: &F, when: &str) {
        let Some(shows) = self.shows else { return };
        let (event, pointer, done) = shows(fixture);
        assert_ne!(look(fixture, event, pointer).await, done, "{} {when}", self.name);
    }
}

/// What a member of an answer is; null if the thing is gone.
async fn look<F: Fixture>(fixture: &F, event: Value, pointer: &str) -> Value {
    match fixture.invoke(event).await {
        Ok(answer) => answer.pointer(pointer).cloned().unwrap_or_default(),
        Err(failure) => {
            assert_eq!(failure.name(), "ResourceNotFoundException", "{failure}");
            Value::Null
        }
    }
}

async fn succeeds<F: Fixture>(fixture: &F, event: Value) -> Value {
    let asked = event.to_string();
    let outcome = fixture.invoke(event).await;
    assert!(outcome.is_ok(), "{asked}: {outcome:?}");
    outcome.unwrap_or_default()
}

/// The error as a workflow sees it.
async fn fails<F: Fixture>(fixture: &F, event: Value) -> String {
    let asked = event.to_string();
    let Err(failure) = fixture.invoke(event).await else { unreachable!("{asked} succeeded") };
    let Diagnostic { error_type, error_message } = failure.into();
    format!("{error_type}\n{error_message}")
}

/// The service's errors keep their names, whatever fails: tried with a command that has no members and changes nothing.
///
/// # Panics
/// If it does not hold.
pub async fn errors_keep_their_names<F: Fixture>(command: &str) {
    let (fixture, event) = (F::new().await, json!({"command": command}));
    let services = fixture.services();
    for (kind, name) in [
        ("throttle", "ThrottlingException"),
        ("internal-failure", "InternalFailureException"),
        ("reset", "TimeoutError"),
    ] {
        services.calls();
        services.order(command, kind, 3, 0);
        let error = fails(&fixture, event.clone()).await;
        assert!(error.starts_with(&format!("{name}\n")), "{kind}: {error}");
        assert_eq!(services.calls().lines().count(), 3, "{kind}");
        // Two failures are recovered from.
        services.order(command, kind, 2, 0);
        succeeds(&fixture, event.clone()).await;
    }
    services.order(command, "broken-json", 1, 0);
    let error = fails(&fixture, event.clone()).await;
    assert!(error.starts_with("UnreadableAnswer\n"), "{error}");
    services.order(command, "unknown-members", 1, 0);
    let answer = succeeds(&fixture, event).await;
    assert!(answer.get("somethingNew").is_some_and(Value::is_object), "an unknown member is given back too");
}

/// Whether an error is of invalid input at a path.
fn assert_invalid(error: &str, path: &str, event: &Value) {
    let named = error.lines().skip(1).any(|line| line.starts_with(&format!("{path}: ")));
    assert!(error.starts_with("InvalidInput\n") && named, "{path} of {event}\n{error}");
}

impl<F: Fixture> Table<F> {
    /// The table has every command.
    ///
    /// # Panics
    /// If it does not hold.
    pub fn has_every_command(&self) {
        let table: BTreeSet<&str> = self.0.iter().map(|row| row.name).collect();
        assert_eq!(table, F::OPERATIONS.iter().map(|operation| operation.name).collect());
        for row in self.0 {
            assert_eq!(row.shows.is_some(), row.operation().changes(), "{}", row.name);
        }
    }

    /// Good input is done, and answered as the service does.
    ///
    /// # Panics
    /// If it does not hold.
    pub async fn good_input_is_done(&self) {
        for row in self.0 {
            let fixture = F::new().await;
            row.assert_not_done(&fixture, "has something to do").await;
            let answer = succeeds(&fixture, row.event(&fixture)).await;
            row.assert_done(&fixture, "is done").await;
            // What was asked last, asked of the endpoint itself.
            if row.shows.is_none() {
                assert_eq!(answer, fixture.services().again(), "{}", row.name);
                assert_ne!(answer, json!({}), "{}", row.name);
            }
        }
    }

    /// A command that is throttled at first is done once.
    ///
    /// # Panics
    /// If it does not hold.
    pub async fn throttled_at_first_it_is_done_once(&self) {
        for row in self.0 {
            for operation in [row.name, "*"] {
                let fixture = F::new().await;
                fixture.services().order(operation, "throttle", 2, 0);
                succeeds(&fixture, row.event(&fixture)).await;
                fixture.services().control("DELETE", "faults", &Value::Null);
                row.assert_done(&fixture, "after throttling").await;
            }
        }
    }

    /// A command that stays throttled fails by that name, and nothing is done.
    ///
    /// # Panics
    /// If it does not hold.
    pub async fn throttled_for_good_nothing_is_done(&self) {
        for row in self.0 {
            let fixture = F::new().await;
            fixture.services().order(row.name, "throttle", 3, 0);
            let error = fails(&fixture, row.event(&fixture)).await;
            assert!(error.starts_with("ThrottlingException\n"), "{}: {error}", row.name);
            let calls = fixture.services().calls();
            let tries = calls.lines().filter(|call| is_of(row.operation(), call)).count();
            assert_eq!(tries, 3, "{}: {calls}", row.name);
            row.assert_not_done(&fixture, "was throttled").await;
            // The same command is done when the service takes it.
            succeeds(&fixture, row.event(&fixture)).await;
            row.assert_done(&fixture, "after the service recovered").await;
        }
    }

    /// What fails before its effect is tried again where that is safe, and can be repeated where it is not.
    ///
    /// # Panics
    /// If it does not hold.
    pub async fn failed_before_its_effect_it_is_tried_again(&self) {
        for row in self.0 {
            for kind in ["internal-failure", "reset", "html"] {
                let fixture = F::new().await;
                fixture.services().order(row.name, kind, 1, 0);
                let first = fixture.invoke(row.event(&fixture)).await;
                let is_unsafe = F::is_unsafe_to_repeat(row.name);
                assert_eq!(first.is_err(), is_unsafe, "{} {kind}: {first:?}", row.name);
                if is_unsafe {
                    row.assert_not_done(&fixture, kind).await;
                    fixture.services().pass(61);
                    succeeds(&fixture, row.event(&fixture)).await;
                }
                row.assert_done(&fixture, kind).await;
            }
        }
    }

    /// What was done and not answered is not done twice.
    ///
    /// # Panics
    /// If it does not hold.
    pub async fn not_answered_it_is_not_done_twice(&self) {
        for row in self.0 {
            for kind in ["lost-answer", "done-but-failed"] {
                let fixture = F::new().await;
                fixture.services().order(row.name, kind, 1, 0);
                // Without a token only a repeat finds what was done.
                let first = fixture.invoke(row.event(&fixture)).await;
                assert_eq!(
                    first.is_err(),
                    F::is_unsafe_to_repeat(row.name),
                    "{} {kind}: {first:?}",
                    row.name
                );
                row.assert_done(&fixture, kind).await;
                let _ = fixture.invoke(row.event(&fixture)).await;
                row.assert_done(&fixture, "after a repeat").await;
            }
        }
    }

    /// Each kind of bad input of each member is refused before any call.
    ///
    /// # Panics
    /// If it does not hold.
    pub async fn each_bad_input_is_refused_before_any_call(&self) {
        let fixture = F::new().await;
        let mut count = 0;
        for row in self.0 {
            for Bad { path, value, told } in bad_inputs(row.operation().members, F::KEY) {
                let mut event = row.event(&fixture);
                put(&mut event, &path, value);
                assert_invalid(&fails(&fixture, event.clone()).await, &told, &event);
                count += 1;
            }
        }
        assert_eq!(fixture.services().calls(), "");
        assert!(count > 800, "{count}");
    }

    /// All bad members are named at once.
    ///
    /// # Panics
    /// If it does not hold.
    pub async fn all_bad_members_are_named_at_once(&self) {
        let fixture = F::new().await;
        for row in self.0 {
            let members = row.operation().members;
            let mut event = json!({"command": row.name, "noSuchMember": 1});
            for member in members {
                let bad = if matches!(member.shape, Shape::Flag) { json!(1) } else { json!(true) };
                put(&mut event, &[member.name.to_owned()], Some(bad));
            }
            let error = fails(&fixture, event).await;
            for name in members.iter().map(|member| member.name).chain(["noSuchMember"]) {
                assert!(error.contains(&format!("\n$.{name}: ")), "{}: {name}\n{error}", row.name);
            }
        }
        assert_eq!(fixture.services().calls(), "");
    }

    /// Good input of a command with these members in it is refused at a path, before any call.
    ///
    /// # Panics
    /// If it does not hold.
    pub async fn bad_combinations_are_refused(&self, fixture: &F, bad: Vec<(&str, Value, &str)>) {
        for (command, members, path) in bad {
            let row = self.0.iter().find(|row| row.name == command);
            let Some(row) = row else { unreachable!("{command} is not in the table") };
            let event = merged(row.event(fixture), members);
            assert_invalid(&fails(fixture, event.clone()).await, path, &event);
        }
        assert_eq!(fixture.services().calls(), "");
    }
}
