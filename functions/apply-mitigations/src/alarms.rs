//! Mitigation of alarms: the devices of violations are put into thing groups, and taken out again.
//!
//! Before it, `detect-alarm` put a mitigation of violations of one behavior on the mitigation queue, or a command
//! started one itself. It goes the way of findings: admitted, asked about again ([`revalidate`]), claimed, started
//! ([`start`]) and followed ([`follow`]). What is new is the way back: when the alarm has been clear for as long as the
//! rule says, the thing is taken out of the groups that it was put into ([`release`]).

mod alerts;
mod follow;
mod hold;
mod release;
mod results;
mod revalidate;
mod start;
mod task;

use fleetwarden_aws::Error;
use fleetwarden_core::message::alarm::AlarmMitigationMessage;
use fleetwarden_core::message::alarm::AlarmStep;
use fleetwarden_core::timestamp::Millis;

use crate::ApplyMitigations;

impl ApplyMitigations {
    /// Takes one message about a mitigation of alarms.
    pub(crate) async fn alarm_message(
        &self,
        message: AlarmMitigationMessage,
        deadline: Millis,
    ) -> Result<(), Error> {
        // The typed client's calls make large futures: on the heap, each step is no larger than its own.
        match message.step {
            AlarmStep::Start | AlarmStep::Held { .. } => Box::pin(self.start_alarms(message, deadline)).await,
            AlarmStep::Follow => Box::pin(self.follow_alarms(message)).await,
            AlarmStep::Release => Box::pin(self.release_alarms(message)).await,
        }
    }
}

/// For tests: the start that a command makes.
#[cfg(test)]
pub(crate) use alerts::every as every_alert;

#[cfg(test)]
pub(crate) async fn start_task(
    iot: &aws_sdk_iot::Client,
    request: &fleetwarden_core::message::alarm::AlarmMitigationRequest,
) {
    assert_eq!(task::start(iot, request, &request.violations).await.unwrap(), crate::task::Started::Yes);
}
