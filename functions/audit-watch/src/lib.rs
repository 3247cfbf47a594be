//! The function `audit-watch`: audits that did not start, do not end, or ended without a handled notification.
//!
//! Everything else in the stack is woken by the notification of an audit, so a missing audit is silent, and silence looks
//! like a healthy fleet. A schedule invokes this function, or somebody who wants to know now. It compares the account's
//! configuration, its scheduled audits and the audit tasks of the last weeks with the ledger, where
//! `audit-notification` records each audit once everything that it causes is on its way. After it, people know of each
//! problem.
//!
//! The notification of an audit that ended and is not in the ledger is created again from the audit task and published
//! to the audit topic. `audit-notification` handles it and confirms it as any other. The claim of the audit makes a repeat
//! harmless, and other subscribers of the topic get the notification that they missed.
//!
//! Modules in the order of the work: [`handler`] (an invocation, once for each time of the schedule) → [`watch`] (one
//! run) → [`read`] (the calls) with [`account`] (their answers) → [`judge`] (what is wrong, by what [`state`] has of the
//! runs before) → [`republish`] (lost notifications) → [`alerts`] (one for each [`problem`]).
//!
//! Calls: one for the configuration, one for the list of scheduled audits and for each 250 audit tasks; one for each
//! audit task that is not in the ledger, up to [`DESCRIBE_LIMIT`]; one for each scheduled audit, only if a check is
//! disabled. It needs `iot:DescribeAccountAuditConfiguration`, `iot:ListScheduledAudits`, `iot:DescribeScheduledAudit`,
//! `iot:ListAuditTasks`, `iot:DescribeAuditTask`, `sns:Publish` on the alert topic and the audit topic with their key,
//! and the ledger's `dynamodb:GetItem`, `BatchGetItem`, `PutItem` and `UpdateItem`.

mod account;
mod alerts;
mod handler;
mod judge;
mod problem;
mod read;
mod republish;
mod state;
mod watch;

pub use handler::Handler;
pub use read::DESCRIBE_LIMIT;
