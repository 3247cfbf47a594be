//! One certificate: of a device, or of a CA.

use serde_json::{Value, json};

use crate::args::Args;
use crate::clock::seconds;
use crate::failure::{Code, Failure};
use crate::fleet::examine::has;
use crate::fleet::flag;
use crate::operations::resources::status;
use crate::operations::{EMPTY, Outcome};
use crate::random::{domain, uuid};
use crate::world::World;

fn missing(id: &str) -> Failure {
    Failure::not_found(format!("The certificate {id} does not exist"))
}

/// What is told of both kinds. The certificate itself is no real one.
fn described(world: &World, id: &str, kind: &str, (created, expiry): (i64, i64), status: &str) -> Value {
    json!({
        "certificateArn": world.settings.arn(&format!("{kind}/{id}")),
        "certificateId": id,
        "status": status,
        "certificatePem": format!("-----BEGIN CERTIFICATE-----\n{id}\n-----END CERTIFICATE-----\n"),
        "ownedBy": world.settings.account,
        "creationDate": seconds(created),
        "lastModifiedDate": seconds(created),
        "customerVersion": 1,
        "generationId": uuid(world.seed(), domain::GENERATION, crate::random::fingerprint(id.as_bytes())),
        "validity": { "notBefore": seconds(created), "notAfter": seconds(expiry) },
        "certificateMode": "DEFAULT",
    })
}

/// `DescribeCertificate`.
pub(crate) fn describe(world: &mut World, args: &Args) -> Outcome {
    let id = args.required("certificateId");
    let fleet = &world.fleet;
    let index = fleet.device(id).ok_or_else(|| missing(id))?;
    let dates = (fleet.device_created(index), fleet.device_expiry(index));
    let described = described(world, id, "cert", dates, status(&fleet.devices, index));
    Ok(json!({ "certificateDescription": described }).to_string())
}

/// `UpdateCertificate`. Some statuses only AWS IoT itself sets.
pub(crate) fn update(world: &mut World, args: &Args) -> Outcome {
    let (id, status) = (args.required("certificateId"), args.required("newStatus"));
    let index = world.fleet.device(id).ok_or_else(|| missing(id))?;
    if status.starts_with("PENDING_") {
        return Err(Failure::invalid(format!("newStatus: {status} is set by AWS IoT alone")));
    }
    if status == "REGISTER_INACTIVE" {
        let message = format!("The certificate {id} cannot become {status}");
        return Err(Failure::new(Code::CertificateState, message));
    }
    set(&mut world.fleet.devices, index, status);
    Ok(EMPTY.to_owned())
}

fn set(certificates: &mut [u8], index: u32, status: &str) {
    let Some(flags) = usize::try_from(index).ok().and_then(|at| certificates.get_mut(at)) else { return };
    *flags &= !(flag::ACTIVE | flag::WITHDRAWN);
    *flags |= match status {
        "ACTIVE" => flag::ACTIVE,
        "REVOKED" => flag::WITHDRAWN,
        _ => 0,
    };
}

/// `DescribeCACertificate`.
pub(crate) fn describe_authority(world: &mut World, args: &Args) -> Outcome {
    let id = args.required("certificateId");
    let fleet = &world.fleet;
    let index = fleet.authority(id).ok_or_else(|| missing(id))?;
    let dates = (fleet.authority_created(index), fleet.authority_expiry(index));
    let mut described = described(world, id, "cacert", dates, status(&fleet.authorities, index));
    if let Some(described) = described.as_object_mut() {
        let registers = has(&fleet.authorities, index, flag::REGISTERS);
        let registers = if registers { "ENABLE" } else { "DISABLE" };
        described.insert("autoRegistrationStatus".to_owned(), registers.into());
    }
    let mut told = json!({ "certificateDescription": described });
    if let (Some(told), Some(config)) = (told.as_object_mut(), fleet.registrations.get(&index)) {
        told.insert("registrationConfig".to_owned(), config.clone());
    }
    Ok(told.to_string())
}

/// `UpdateCACertificate`. What is left out stays as it is.
pub(crate) fn update_authority(world: &mut World, args: &Args) -> Outcome {
    let id = args.required("certificateId");
    let index = world.fleet.authority(id).ok_or_else(|| missing(id))?;
    let (status, registers) = (args.text("newStatus"), args.text("newAutoRegistrationStatus"));
    let removes = args.flag("removeAutoRegistration") == Some(true);
    let config: Option<Value> = args.read("registrationConfig")?;
    if removes && config.is_some() {
        return Err(Failure::invalid("registrationConfig and removeAutoRegistration must not both be given"));
    }
    if let Some(status) = status {
        set(&mut world.fleet.authorities, index, status);
    }
    let flags = usize::try_from(index).ok().and_then(|at| world.fleet.authorities.get_mut(at));
    if let (Some(flags), Some(registers)) = (flags, registers) {
        *flags &= !flag::REGISTERS;
        *flags |= if registers == "ENABLE" { flag::REGISTERS } else { 0 };
    }
    if removes {
        world.fleet.registrations.remove(&index);
    }
    if let Some(config) = config {
        world.fleet.registrations.insert(index, config);
    }
    Ok(EMPTY.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::checks::Check;
    use crate::harness::{Desk, deactivate};

    #[test]
    fn what_mitigation_deactivated_can_be_activated() {
        let desk = Desk::new(300);
        let findings = desk.audit(Check::DeviceRevoked);
        let id = &findings[0]["nonCompliantResource"]["resourceIdentifier"]["deviceCertificateId"];
        let path = format!("/certificates/{}", id.as_str().unwrap());
        let described = || desk.ok("GET", &path, &Value::Null)["certificateDescription"].clone();
        let before = described();
        assert_eq!((&before["certificateId"], &before["status"]), (id, &json!("ACTIVE")));
        desk.action("off", &deactivate());
        desk.mitigate("t", &findings[..1], Check::DeviceRevoked, &["off"]);
        desk.advance(1_000);
        assert_eq!(described()["status"], "INACTIVE");
        let set = |status: &str| desk.call("PUT", &format!("{path}?newStatus={status}"), &Value::Null).0;
        assert_eq!(
            ["REVOKED", "PENDING_TRANSFER", "REGISTER_INACTIVE", "OTHER"].map(set),
            [200, 400, 406, 400]
        );
        assert_eq!(described()["status"], "REVOKED");
        assert_eq!(set("ACTIVE"), 200);
        assert_eq!(described(), before);
        assert_eq!(desk.audit(Check::DeviceRevoked).len(), findings.len());
        let none = format!("/certificates/{}", "a".repeat(64));
        assert_eq!(desk.call("GET", &none, &Value::Null).0, 404);
    }

    #[test]
    fn a_ca_keeps_its_registration_when_its_status_changes() {
        let desk = Desk::new(300);
        let id = desk.listed("/cacertificates", "", "certificates")[0]["certificateId"].clone();
        let path = format!("/cacertificate/{}", id.as_str().unwrap());
        let set = |query: &str, body: &Value| desk.call("PUT", &format!("{path}?{query}"), body).0;
        let config = json!({ "roleArn": "arn:aws:iam::123456789012:role/Register", "templateBody": "{}" });
        assert_eq!(set("newAutoRegistrationStatus=ENABLE", &json!({ "registrationConfig": config })), 200);
        let described = || desk.ok("GET", &path, &Value::Null);
        let before = described();
        assert_eq!(before["registrationConfig"], config);
        assert_eq!(set("newStatus=INACTIVE", &Value::Null), 200);
        let after = described()["certificateDescription"].clone();
        assert_eq!(
            (&after["status"], &after["autoRegistrationStatus"]),
            (&json!("INACTIVE"), &json!("ENABLE"))
        );
        assert_eq!(set("newStatus=ACTIVE", &Value::Null), 200);
        assert_eq!(described(), before);
        assert_eq!(set("", &json!({ "registrationConfig": config, "removeAutoRegistration": true })), 400);
        assert_eq!(set("newAutoRegistrationStatus=DISABLE", &json!({ "removeAutoRegistration": true })), 200);
        assert_eq!(described().get("registrationConfig"), None);
    }
}
