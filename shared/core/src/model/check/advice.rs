//! What each check means, why it matters, how to comply by hand, and what each mitigation action would cut off.
//!
//! Only the report of an audit needs it, so it is one table that nothing else is linked to.
//!
//! Source of the facts: the pages of the checks and the page "Mitigation actions" in the developer guide of AWS IoT
//! Device Defender, and the reference of the AWS IoT API.

use serde::Serialize;

use crate::ids::CheckName;
use crate::ids::check::KNOWN;

/// What to know of a check before one makes its resources comply.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Advice {
    /// What people call the check.
    pub title: &'static str,
    /// What it means that a resource does not comply.
    pub meaning: &'static str,
    /// What can go wrong in the fleet.
    pub matters: &'static str,
    /// The fix by hand, in order.
    pub steps: &'static [&'static str],
    /// The mitigation actions that the check takes; those that cut off nothing first.
    pub actions: &'static [Effect],
    /// The check's page in the developer guide.
    pub page: &'static str,
}

/// What a mitigation action does when it is applied to findings of a check.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Effect {
    /// As `UPDATE_DEVICE_CERTIFICATE`.
    pub action: &'static str,
    /// What devices lose by it.
    pub cuts_off: &'static str,
}

impl CheckName {
    /// What to know of the check; none for an unknown one.
    pub fn advice(&self) -> Option<&'static Advice> {
        KNOWN.iter().position(|known| *known == self.as_str()).and_then(|at| ADVICE.get(at))
    }
}

/// What a finding's reason code says, in words. None for a code that is not known here.
pub fn reason(code: &str) -> Option<&'static str> {
    Some(match code {
        "ALLOWS_ACCESS_TO_IOT_ADMIN_ACTIONS" => "allows administration of AWS IoT",
        "ALLOWS_ACCESS_TO_IOT_NON_THING_ADMIN_ACTIONS" => {
            "allows administration of AWS IoT beyond things, as of certificates and policies"
        }
        "ALLOWS_ACCESS_TO_IOT_THING_ADMIN_WRITE_ACTIONS" => "allows things to be created, changed or deleted",
        "ALLOWS_ACCESS_TO_SECURITY_AUDITING_SERVICES" => {
            "allows use of services that guard the account, as IAM or CloudTrail"
        }
        "ALLOWS_ACCESS_TO_UNUSED_SERVICES" => "allows services that were not used for a year",
        "ALLOWS_BROAD_ACCESS_TO_IOT_DATA_PLANE_ACTIONS" => {
            "allows messages, shadows or jobs of many devices instead of its own"
        }
        "ALLOWS_BROAD_ACCESS_TO_IOT_THING_ADMIN_READ_ACTIONS" => "allows the data of many things to be read",
        "ALLOWS_BROAD_ACCESS_TO_USED_SERVICES" => "allows everything in a service of which it uses a part",
        "CERTIFICATE_APPROACHING_EXPIRATION" => "expires soon",
        "CERTIFICATE_KEY_VULNERABILITY_CVE-2008-0166" => {
            "has a key that can be guessed: made with OpenSSL of Debian in 2008 or before (CVE-2008-0166)"
        }
        "CERTIFICATE_KEY_VULNERABILITY_CVE-2017-15361" => {
            "has a key that can be computed: made with Infineon's RSA library (CVE-2017-15361)"
        }
        "CERTIFICATE_PAST_AGE_THRESHOLD" => "has been active for longer than the account's limit",
        "CERTIFICATE_PAST_EXPIRATION" => "has expired",
        "CERTIFICATE_REVOKED_BY_ISSUER" => "is on the revocation list of its issuer",
        "CERTIFICATE_SHARED_BY_MULTIPLE_DEVICES" => "is used by several devices at the same time",
        "DUPLICATE_CLIENT_ID_ACROSS_CONNECTIONS" => "is used by several connections, which end each other",
        "INTERMEDIATE_CA_REVOKED_BY_ISSUER" => "was revoked, and device certificates below it are active",
        "LOGGING_DISABLED" => "AWS IoT writes no logs",
        "POLICY_CONTAINS_MQTT_WILDCARDS_IN_DENY_STATEMENT" => {
            "denies with + or #, which a policy takes for plain characters"
        }
        "TOPIC_FILTERS_INTENDED_TO_DENY_ALLOWED_USING_WILDCARDS" => {
            "denies topics that a subscription with a wildcard still reaches"
        }
        _ => return None,
    })
}

/// What to do about a check that was not done, by the service's error code; a check that was canceled has none.
pub fn remedy(code: Option<&str>, canceled: bool) -> &'static str {
    match code {
        Some("INSUFFICIENT_PERMISSIONS") => {
            "Give the audit role (DescribeAccountAuditConfiguration names it) the managed policy \
             service-role/AWSIoTDeviceDefenderAudit, and kms:Decrypt on the key if the account encrypts AWS IoT data \
             with a key of its own. Then audit the check again."
        }
        Some("AUDIT_CHECK_DISABLED") => {
            "Enable the check in the account's audit configuration, or take it out of the schedule."
        }
        None if canceled => {
            "Somebody canceled it: CloudTrail says who called CancelAuditTask. Audit the check again if that was not \
             meant."
        }
        _ => "Audit the check again on demand. If it fails again, take the error to AWS Support.",
    }
}

/// A page of the developer guide.
macro_rules! page {
    ($name:literal) => {
        concat!("https://docs.aws.amazon.com/iot-device-defender/latest/devguide/", $name, ".html")
    };
}

const SNS: Effect = Effect {
    action: "PUBLISH_FINDING_TO_SNS",
    cuts_off: "Nothing. The finding is published to an SNS topic, where a function of your own can act on it.",
};
const GROUP: Effect = Effect {
    action: "ADD_THINGS_TO_THING_GROUP",
    cuts_off: "Nothing by itself, but the things get the policies, jobs and logging of the groups that they join: a \
               quarantine group with a policy that denies cuts them off. Only things attached to the certificate join.",
};
const GROUP_OF_AGE: Effect = Effect {
    action: "ADD_THINGS_TO_THING_GROUP",
    cuts_off: "AWS does not say whether this check takes the action. If it does: nothing by itself, but the things get \
               the policies of the groups that they join.",
};
const DEVICE: Effect = Effect {
    action: "UPDATE_DEVICE_CERTIFICATE",
    cuts_off: "The device: its certificate becomes inactive, AWS IoT ends its connections within minutes, and it \
               cannot connect again, not even to fetch a new certificate, until the old one is set active by hand.",
};
const DEVICE_SHARED: Effect = Effect {
    action: "UPDATE_DEVICE_CERTIFICATE",
    cuts_off: "Every device that shares the certificate, the rightful one included: AWS IoT ends all their \
               connections within minutes, and none can connect again until the certificate is set active by hand.",
};
const DEVICE_ISSUED: Effect = Effect {
    action: "UPDATE_DEVICE_CERTIFICATE",
    cuts_off: "Every device with a certificate that the intermediate CA issued and that is still active: their \
               connections end within minutes, and none can connect again without another certificate.",
};
const DEVICE_OF_AGE: Effect = Effect {
    action: "UPDATE_DEVICE_CERTIFICATE",
    cuts_off: "AWS does not say whether this check takes the action. If it does: the device loses its connections \
               within minutes and cannot connect again, though its certificate is only old.",
};
const CA: Effect = Effect {
    action: "UPDATE_CA_CERTIFICATE",
    cuts_off: "Devices that are still to come: certificates that the CA signed can no longer be registered, so \
               provisioning stops. Device certificates that are registered stay active and go on connecting.",
};
const POLICY: Effect = Effect {
    action: "REPLACE_DEFAULT_POLICY_VERSION",
    cuts_off: "Every device, identity and group that the policy is attached to: a blank version becomes its default, \
               so all of them lose every permission that it gave, to connect included, until the old version is set \
               as default by hand. Fails if the policy has five versions already.",
};
const LOGGING: Effect = Effect {
    action: "ENABLE_IOT_LOGGING",
    cuts_off: "Nothing. It replaces the account's logging level and role, and CloudWatch Logs charges for what a \
               large fleet writes: choose ERROR or WARN first.",
};

const RETIRE: &str = "Detach the old certificate from its policies (DetachPolicy) and its thing \
                      (DetachThingPrincipal), and delete it (DeleteCertificate).";
const ROTATE: [&str; 4] = [
    "Issue a new certificate with a new key to each device, as by a job or fleet provisioning.",
    "Attach the policies and the thing of the old certificate to the new one, and see that the device connects with \
     it.",
    "Set the old certificate INACTIVE (UpdateCertificate), watch the fleet for a while, then REVOKED.",
    RETIRE,
];
const REPLACE_CA: [&str; 4] = [
    "Register another CA certificate (RegisterCACertificate with setAsActive) and let provisioning sign with it.",
    "Set this one INACTIVE (UpdateCACertificate), so that nothing signed by it is registered any more.",
    "List what it has signed (ListCertificatesByCA) and look for registrations that you did not make.",
    "Rotate the certificates of devices that you keep, and revoke the others (UpdateCertificate).",
];
const NARROW_POOL: [&str; 4] = [
    "Make a role that allows what these identities need, on their own resources only.",
    "Try it with an identity pool of its own until everything that should work does.",
    "Set the role on the identity pool that was found (SetIdentityPoolRoles, which takes the roles of users and guests \
     together).",
    "Move administration to an identity pool that no device or guest uses.",
];

/// In the order of [`KNOWN`].
static ADVICE: [Advice; 17] = [
    Advice {
        title: "Authenticated Cognito role overly permissive",
        meaning: "Users who are signed in through an Amazon Cognito identity pool get a role that allows more of AWS \
                  IoT than a user's own devices need.",
        matters: "One stolen user account is enough to read or change things, certificates or policies, and with them \
                  devices that are not the user's.",
        steps: &NARROW_POOL,
        actions: &[SNS],
        page: page!("audit-chk-auth-cognito-role-permissive"),
    },
    Advice {
        title: "CA certificate expiring",
        meaning: "A registered CA certificate expires within 30 days, or has expired.",
        matters: "New devices cannot be provisioned with certificates that it signed, and nobody should trust what it \
                  signs after its end.",
        steps: &[
            "Register the CA's new certificate (RegisterCACertificate with setAsActive), before the old one expires.",
            "Let provisioning sign with it, and see that a new device is registered and connects.",
            "Set the old CA certificate INACTIVE (UpdateCACertificate).",
            "Plan the rotation of device certificates that the old one signed.",
        ],
        actions: &[SNS, CA],
        page: page!("audit-chk-ca-cert-approaching-expiration"),
    },
    Advice {
        title: "CA certificate key quality",
        meaning: "The key of a CA certificate was made with software that is known to make weak keys.",
        matters: "Whoever works out the key can sign certificates for devices of their own and bring them into the \
                  fleet.",
        steps: &REPLACE_CA,
        actions: &[SNS, CA],
        page: page!("audit-chk-ca-cert-key-quality"),
    },
    Advice {
        title: "Conflicting MQTT client IDs",
        meaning: "Several devices connected with the same client id. MQTT allows one connection for each, so every new \
                  one ended the one before.",
        matters: "The devices push each other out again and again: messages are lost, and some never stay connected. \
                  It can also be a sign of a copied device or of stolen credentials.",
        steps: &[
            "Look up which certificates used the client id: the finding's related resources name them.",
            "If they belong to one device, see whether it connects anew before its old connection has ended.",
            "Otherwise give each device a client id of its own, best the name of its thing.",
            "Let the policy allow no other: client/${iot:Connection.Thing.ThingName}, with the condition that the \
             thing is attached.",
            "An audit on demand looks back 31 days, so it goes on reporting what is mended.",
        ],
        actions: &[SNS],
        page: page!("audit-chk-conflicting-client-ids"),
    },
    Advice {
        title: "Device certificate age",
        meaning: "A device certificate has been active for as many days as the check is set to, or longer (365 unless \
                  set).",
        matters: "The longer a key is in use, the more time there was to copy it, and a fleet that never rotates \
                  cannot do it when it must.",
        steps: &ROTATE,
        actions: &[SNS, GROUP_OF_AGE, DEVICE_OF_AGE],
        page: page!("device-certificate-age-check"),
    },
    Advice {
        title: "Device certificate expiring",
        meaning: "A device certificate expires within the days that the check is set to (30 unless set), or has \
                  expired.",
        matters: "A certificate past its end should not be trusted, and to rotate it is easy only while the device \
                  can still connect with the old one.",
        steps: &ROTATE,
        actions: &[SNS, GROUP, DEVICE],
        page: page!("audit-chk-device-cert-approaching-expiration"),
    },
    Advice {
        title: "Device certificate key quality",
        meaning: "The key of a device certificate was made with software or a chip that is known to make weak keys.",
        matters: "Whoever works out the key can connect as the device, read what it reads and send what it sends.",
        steps: &[
            "Update the software or firmware that makes the device's keys, or have keys made elsewhere: a new key \
             from the same source is as weak.",
            ROTATE[0],
            ROTATE[1],
            ROTATE[2],
            ROTATE[3],
        ],
        actions: &[SNS, GROUP, DEVICE],
        page: page!("audit-chk-device-cert-key-quality"),
    },
    Advice {
        title: "Device certificate shared",
        meaning: "Several connections used one device certificate at the same time, so more than one device holds its \
                  private key.",
        matters: "Nobody can tell the devices apart or shut out just one of them, and one of them may be a copy that \
                  somebody made with a stolen key.",
        steps: &[
            "Look at the client ids of the finding's related resources: they say whether one product shares a \
             certificate by design, or a stranger uses it.",
            ROTATE[0],
            ROTATE[1],
            "When every device that you know has its own, set the shared certificate INACTIVE (UpdateCertificate), \
             then REVOKED: whoever still uses it is not yours.",
            "An audit on demand looks back 31 days, so it goes on reporting what is mended.",
        ],
        actions: &[SNS, GROUP, DEVICE_SHARED],
        page: page!("audit-chk-device-cert-shared"),
    },
    Advice {
        title: "Intermediate CA revoked for active device certificates",
        meaning: "An intermediate CA was revoked by its issuer, and device certificates that it issued are still \
                  active.",
        matters: "A CA is revoked when its key is no longer safe: any certificate below it, above all a recent one, \
                  may belong to somebody else's device.",
        steps: &[
            "List the device certificates concerned (ListRelatedResourcesForAuditFinding): the finding itself does \
             not hold them.",
            "Single out those registered after the CA was revoked, and deactivate them at once.",
            "Issue certificates from another CA to the devices that you keep, and see that they connect.",
            "Set the old certificates REVOKED (UpdateCertificate) and detach them (DetachThingPrincipal).",
        ],
        actions: &[SNS, GROUP, DEVICE_ISSUED],
        page: page!("audit-chk-active-intermediary-device-revoked-CA"),
    },
    Advice {
        title: "AWS IoT policies overly permissive",
        meaning: "An AWS IoT policy lets whatever it is attached to publish, subscribe, or read and change shadows and \
                  jobs of a wide set of devices.",
        matters: "The key of one device is then the key to all: whoever has it can command or silence the fleet.",
        steps: &[
            "See what the policy is attached to (ListTargetsForPolicy) and which topics those devices use.",
            "Write a version with policy variables, as topic/${iot:Connection.Thing.ThingName}/*, instead of wildcards.",
            "Try it with one device through a policy of its own, then make it the default (CreatePolicyVersion with \
             setAsDefault; a policy holds five versions).",
            "Watch for failures to authorize, and keep the old version until there are none.",
        ],
        actions: &[SNS, POLICY],
        page: page!("audit-chk-iot-policy-permissive"),
    },
    Advice {
        title: "AWS IoT policy potentially misconfigured",
        meaning: "A deny in an AWS IoT policy does not deny what it seems to: it uses + or #, which policies take for \
                  plain characters, or a subscription with a wildcard reaches the topics all the same.",
        matters: "Devices read topics that somebody meant to keep from them, and nobody notices.",
        steps: &[
            "Decide whether the deny is meant as it works; if so it is a false positive, which a suppression with a \
             reason says best.",
            "Replace + and # in Deny statements by *, the wildcard of policies.",
            "Deny iot:Receive on the topics too, so that a wide subscription does not deliver them.",
            "Make the version the default (CreatePolicyVersion with setAsDefault) and try both kinds of subscription.",
        ],
        actions: &[SNS, POLICY],
        page: page!("audit-chk-iot-misconfigured-policies"),
    },
    Advice {
        title: "Role alias allows access to unused services",
        meaning: "The role behind a role alias allows AWS services that no device has used through it for a year.",
        matters: "Credentials that devices fetch are good for services that nobody needs, and whoever takes a device \
                  has them all.",
        steps: &[
            "See in IAM which services the role used last and when (GenerateServiceLastAccessedDetails).",
            "Take the others out of its policies, the rare ones only after asking those who own the devices.",
            "Watch CloudTrail for AccessDenied of the role.",
        ],
        actions: &[SNS],
        page: page!("audit-chk-role-alias-unused-svcs"),
    },
    Advice {
        title: "Role alias overly permissive",
        meaning: "The role behind a role alias gives devices temporary credentials that allow far more than a device \
                  needs, as all actions of a service or services that guard the account.",
        matters: "Whoever takes one device can use its credentials against the whole account, not only its data.",
        steps: &[
            "List the calls that devices make with the credentials (CloudTrail, by the role's name).",
            "Allow only those, on resources named with ${credentials-iot:ThingName} where that is possible.",
            "Take out administration, IAM, CloudTrail and the like altogether.",
            "Try it with a role alias of its own on one device, then change the role.",
        ],
        actions: &[SNS],
        page: page!("audit-chk-iot-role-alias-permissive"),
    },
    Advice {
        title: "Logging disabled",
        meaning: "AWS IoT writes no logs to CloudWatch Logs in this account and region.",
        matters: "When devices fail to connect or somebody tries stolen keys, there is nothing to look at afterwards.",
        steps: &[
            "Make a role that AWS IoT may assume and that may write to CloudWatch Logs.",
            "Switch logging on at level ERROR or WARN (SetV2LoggingOptions with defaultLogLevel and roleArn).",
            "Set a retention on the log group AWSIotLogsV2, which keeps everything for ever unless told.",
        ],
        actions: &[SNS, LOGGING],
        page: page!("audit-chk-logging-disabled"),
    },
    Advice {
        title: "Revoked CA certificate still active",
        meaning: "A CA certificate is on the revocation list of its issuer, but AWS IoT still takes it as active.",
        matters: "It was revoked for a reason, often a stolen key: strangers may be able to register devices with it.",
        steps: &[
            "Set the CA certificate INACTIVE now (UpdateCACertificate).",
            "List what it has signed (ListCertificatesByCA) and look for registrations after the day of its \
             revocation.",
            "Revoke those that you cannot explain (UpdateCertificate).",
            "Rotate the devices that you keep to certificates of another CA.",
        ],
        actions: &[SNS, CA],
        page: page!("audit-chk-revoked-ca-cert"),
    },
    Advice {
        title: "Revoked device certificate still active",
        meaning: "A device certificate is on the revocation list of its CA, but AWS IoT still lets it connect.",
        matters: "Certificates are revoked mostly because their key was lost or copied: the device that connects may \
                  not be yours.",
        steps: &[
            "Ask those who run the CA why the certificate was revoked.",
            "If its key is not safe, set it INACTIVE at once (UpdateCertificate) and look at what it did last.",
            ROTATE[0],
            "See that the device connects with it, and set the old certificate REVOKED (UpdateCertificate).",
            RETIRE,
        ],
        actions: &[SNS, GROUP, DEVICE],
        page: page!("audit-chk-revoked-device-cert"),
    },
    Advice {
        title: "Unauthenticated Cognito role overly permissive",
        meaning: "Guests of an Amazon Cognito identity pool, who never sign in, get a role that allows administration \
                  of AWS IoT, or messages and shadows of many devices.",
        matters: "Anybody who knows the pool's id, which stands in every app that uses it, can read or command the \
                  fleet.",
        steps: &NARROW_POOL,
        actions: &[SNS],
        page: page!("audit-chk-unauth-cognito-role-permissive"),
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::action::ActionKind;

    #[test]
    fn every_known_check_has_advice_on_each_action_that_it_may_take() {
        for name in KNOWN {
            let check = CheckName::new(name);
            let advised: BTreeSet<&str> = check.advice().unwrap().actions.iter().map(|a| a.action).collect();
            let maybe = |kind: &ActionKind| check.takes(*kind) != Some(false);
            let taken = ActionKind::ALL.into_iter().filter(maybe).map(ActionKind::as_str);
            assert_eq!(advised, taken.collect(), "{name}");
        }
        assert!(CheckName::new("QUANTUM_CHECK").advice().is_none());
    }

    #[test]
    fn advice_is_about_the_check_that_it_is_for() {
        let word = |text: &str| text.to_lowercase().replace("cognito", "").replace(['_', ' '], "");
        for name in KNOWN {
            let advice = CheckName::new(name).advice().unwrap();
            let title = word(advice.title);
            let name = word(name);
            let alike = strsim::jaro_winkler(&title, &name);
            assert!(alike > 0.7, "{name}: {title} {alike}");
            assert!(advice.steps.len() >= 3 && advice.page.starts_with("https://docs.aws.amazon.com/"));
        }
    }

    #[test]
    fn reason_and_remedy_know_the_words_of_the_service() {
        insta::assert_snapshot!(reason("CERTIFICATE_PAST_EXPIRATION").unwrap(), @"has expired");
        assert_eq!(reason("BAD_LUCK"), None);
        assert!(remedy(Some("INSUFFICIENT_PERMISSIONS"), false).contains("AWSIoTDeviceDefenderAudit"));
        assert!(remedy(None, true).contains("CancelAuditTask"));
        assert_eq!(remedy(None, false), remedy(Some("HTTP_500"), true));
    }
}
