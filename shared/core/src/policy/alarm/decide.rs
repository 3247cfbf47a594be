//! Deciding on an alarm: rules in order, the first that matches decides.

use super::AlarmDecision;
use super::AlarmHold;
use super::AlarmOutcome;
use super::AlarmRule;
use super::AlarmSettings;
use super::AlarmShadow;
use super::AlarmSubject;
use super::matcher::Registration;
use crate::model::alarm::Source;
use crate::model::alarm::State;
use crate::model::alarm::Verification;
use crate::model::thing::Wanted;
use crate::policy::Mode;
use crate::policy::Policy;
use crate::policy::Report;
use crate::policy::matcher::Condition;
use crate::policy::matcher::Verdict;
use crate::policy::protect::Protected;
use crate::timestamp::Millis;

impl Policy {
    /// How alarms are handled before a rule decides.
    pub const fn alarms(&self) -> AlarmSettings {
        self.alarms
    }

    /// The rules on alarms, in order.
    pub fn alarm_rules(&self) -> &[AlarmRule] {
        &self.alarm_rules
    }

    /// Decides on one alarm. Nothing is allocated.
    ///
    /// A rule that nobody can say whether it matches lets no later rule act: the alarm might have been its. What no rule
    /// matches is reported, and silently if the behavior's alerts are suppressed (`suppressAlerts`).
    pub fn decide_alarm<'p, 's>(&'p self, subject: &'s AlarmSubject<'s>) -> AlarmDecision<'p, 's> {
        let default = if subject.life.alarm.suppressed { Report::Silent } else { Report::Alert(None) };
        let mut decision = AlarmDecision {
            outcome: AlarmOutcome::Report(default),
            rule: None,
            held: None,
            shadow: None,
            wanted: Wanted::default(),
            asks: None,
            again_at: None,
            brief: false,
            policy: self,
            subject,
        };
        let (mut unknown, mut decides) = (None, None);
        for rule in &self.alarm_rules {
            match rule.judge(subject, subject.at) {
                Verdict::Unknown(condition) => {
                    let wanted = condition.wanted(subject.things);
                    if decision.wanted.is_nothing() {
                        decision.wanted = wanted;
                    }
                    if !wanted.is_nothing() && decision.asks.is_none_or(|asks| rule.live && !asks.live) {
                        decision.asks = Some(rule);
                    }
                    if rule.live {
                        unknown = unknown.or(Some(rule.name.as_str()));
                    }
                }
                Verdict::Holds if rule.live => {
                    decision.rule = Some(&rule.name);
                    decision.outcome = AlarmOutcome::from(&rule.effect);
                    decides = Some(rule);
                    break;
                }
                Verdict::Holds if decision.shadow.is_none() => {
                    // Nothing is looked up only to say what a trial would have been kept from.
                    let (held, _) = self.holds(AlarmOutcome::from(&rule.effect), unknown, subject);
                    decision.shadow = Some(AlarmShadow { rule, held });
                }
                Verdict::Fails(Condition::LastsLongerThan) => {
                    let at = rule.matches_at(subject);
                    decision.again_at = decision.again_at.into_iter().chain(at).min();
                }
                Verdict::Fails(_) | Verdict::Holds => {}
            }
        }
        let (held, wanted) = self.holds(decision.outcome, unknown, subject);
        if held.is_some() {
            // The rule meant to act on it: somebody should know that nothing was done.
            (decision.held, decision.outcome) = (held, AlarmOutcome::Report(Report::Alert(None)));
        }
        if !wanted.is_nothing() {
            (decision.wanted, decision.asks) = (wanted, decides);
        }
        decision
    }

    /// What keeps an outcome from happening, and what would have to be known to say more. `unknown` is the earlier rule
    /// of which nobody can say whether it matches.
    fn holds<'p>(
        &'p self,
        outcome: AlarmOutcome<'_>,
        unknown: Option<&'p str>,
        subject: &AlarmSubject<'_>,
    ) -> (Option<AlarmHold<'p>>, Wanted) {
        let nothing = |held| (held, Wanted::default());
        match (outcome, unknown) {
            (AlarmOutcome::Report(_), _) => nothing(None),
            (_, Some(rule)) => nothing(Some(AlarmHold::RuleUnknown(rule))),
            (AlarmOutcome::Verify(verify), None) => nothing(subject.keeps_from_verifying(verify.state)),
            (AlarmOutcome::Mitigate(_), None) => match subject.keeps_from_mitigating() {
                Some(held) => nothing(Some(held)),
                None => self.keeps_thing(subject),
            },
        }
    }

    /// What is to be known of the thing before it is mitigated: that it is registered, and not protected.
    fn keeps_thing<'p>(&'p self, subject: &AlarmSubject<'_>) -> (Option<AlarmHold<'p>>, Wanted) {
        match self.protect.of_things(subject.things) {
            Protected::Unknown(wanted) => return (Some(AlarmHold::ProtectionUnknown), wanted),
            Protected::By(protection) => {
                return (Some(AlarmHold::ProtectedBy(protection)), Wanted::default());
            }
            Protected::No => {}
        }
        match subject.registration() {
            Registration::Thing => (None, Wanted::default()),
            Registration::None | Registration::NoDevice => {
                (Some(AlarmHold::NothingToMitigate), Wanted::default())
            }
            Registration::Unknown => {
                (Some(AlarmHold::RegistrationUnknown), Condition::Registered.wanted(subject.things))
            }
        }
    }
}

impl AlarmSubject<'_> {
    /// What of the alarm itself keeps every mitigation from its device.
    fn keeps_from_mitigating<'p>(&self) -> Option<AlarmHold<'p>> {
        let life = self.life;
        if !matches!(life.alarm.source, Source::DeviceDefender) || life.alarm.thing.is_none() {
            return Some(AlarmHold::NothingToMitigate);
        }
        if !matches!(life.state(), Some(State::Raised)) {
            return Some(AlarmHold::Ended);
        }
        match life.verification {
            Some(said @ (Verification::FalsePositive | Verification::BenignPositive)) => {
                Some(AlarmHold::Verified(said))
            }
            _ => None,
        }
    }

    /// What keeps a verification state from the alarm.
    fn keeps_from_verifying<'p>(&self, state: Verification) -> Option<AlarmHold<'p>> {
        if self.life.alarm.source != Source::DeviceDefender {
            return Some(AlarmHold::NothingToVerify);
        }
        let said = self.life.verification.filter(|said| *said != Verification::Unknown && *said != state);
        said.map(AlarmHold::Verified)
    }
}

impl AlarmDecision<'_, '_> {
    /// The mode of the policy that decided.
    pub const fn mode(&self) -> Mode {
        self.policy.mode
    }

    /// The time of the decision.
    pub const fn at(&self) -> Millis {
        self.subject.at
    }

    /// The same decision, written without the rules that were passed over: for a record that they make too large.
    #[must_use]
    pub const fn brief(self) -> Self {
        Self { brief: true, ..self }
    }
}
