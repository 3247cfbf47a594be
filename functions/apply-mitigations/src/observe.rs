//! The mode `observe`: each guard is asked, and what would have been is written down and logged.

use fleetwarden_aws::Error;
use fleetwarden_aws::mitigations::APPROVAL;
use fleetwarden_aws::mitigations::Claimable as _;
use fleetwarden_aws::mitigations::Settled;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::mitigations::Stop;
use fleetwarden_core::model::mitigation::view::GuardAnswer;
use fleetwarden_core::policy::Closed;
use fleetwarden_core::timestamp::Millis;

use crate::counting::Counting;
use crate::devices::Devices;
use crate::message::Message as _;
use crate::settle::Aside;
use crate::settle::ClaimedBy;
use crate::settle::Said;
use crate::start::Start;
use crate::work::Decided;
use crate::work::Work;

impl<W: Work> Start<W> {
    /// Writes down what would have been.
    pub(crate) async fn observe(
        &self,
        message: &W::Message,
        closed: Option<&Closed>,
        deadline: Millis,
    ) -> Result<(), Error> {
        let Self { settle, .. } = self;
        let request = message.request();
        let at_once = settle.work.at_once(request);
        let shut = closed.filter(|_| !self.may_start_outside(request)).map(would_wait);
        let decided = match &shut {
            None => Box::pin(self.looked_at(request, deadline)).await?,
            Some(_) => Decided::all(request),
        };
        let parts = W::parts(request.target());
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let counting = Counting::Looked { in_groups: decided.in_groups.as_ref(), parts: &parts, at_once };
        let stop =
            if shut.is_none() { Box::pin(self.would_stop(request, at_once, counting)).await? } else { None };
        let over = match &stop {
            Some(Stop::OverBudget(over)) if self.may_go_over(request) => Some(over.reason()),
            _ => None,
        };
        let stop = stop.filter(|_| over.is_none());
        let needs = if shut.is_none() && stop.is_none() {
            Box::pin(self.would_need(request, (closed, over.as_deref()), &decided)).await?
        } else {
            Vec::new()
        };
        let why = needs.iter().map(|reason| reason.why.as_str()).collect::<Vec<_>>().join("; ");
        let waits = (!needs.is_empty()).then(|| format!("would wait for approval: {why}"));
        let stopped = stop.as_ref().map(|stop| format!("would be held: {}", stop.reason()));
        let instead = shut.or(stopped);
        let mut devices = match &instead {
            None => Box::pin(settle.work.ask_devices(request, deadline)).await?,
            Some(_) => Devices::default(),
        };
        // What is left out, or refused, comes before what goes first, and that before a person is asked.
        let canary = settle.work.would_wait(request);
        let instead = instead.or_else(|| {
            let all = [devices.instead.take(), canary, waits].into_iter().flatten().collect::<Vec<_>>();
            Some(all.join("; ")).filter(|all| !all.is_empty())
        });
        let instead = instead.as_deref();
        let asked = GuardAnswer { guard: APPROVAL.to_owned(), passed: false, reason: Some(why) };
        let asked = Some(asked).filter(|_| !needs.is_empty());
        let said = stop.iter().map(Stop::answer).chain(asked).chain(devices.guards);
        let said: Vec<GuardAnswer> = said.collect();
        let observed = Settled { reason: instead, guards: &said, ..Settled::new(request, State::Observed) };
        let target = match settle.set_aside(message, &observed, ClaimedBy::Another).await? {
            Aside::Yes(target) => target,
            Aside::Nothing => return settle.nothing_left(request).await,
            Aside::No => return Ok(()),
            Aside::Overtaken(latest) => return settle.supersede(message, &latest.reason()).await.map(drop),
        };
        let said = Said { count: Some(W::count(&target)), instead, ..Said::default() };
        said.log::<W>(request, "would mitigate");
        settle.work.note_observed(request, instead).await
    }
}

/// What would come in place of a start while no window is open.
fn would_wait(closed: &Closed) -> String {
    let would = if closed.opens.is_some() { "would wait" } else { "would be refused" };
    format!("{would}: {}", closed.reason)
}
