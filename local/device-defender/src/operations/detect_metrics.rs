//! Custom metrics.
//!
//! "If you try to create a new custom metric that already exists with a different token, an exception occurs": the same
//! request with the same token is a replay and gets the same answer.

use serde_json::json;

use crate::args::Args;
use crate::detect::custom_metrics::{CustomMetric, MOST_CUSTOM_METRICS};
use crate::failure::Failure;
use crate::operations::schedules::listing;
use crate::operations::{EMPTY, Outcome};
use crate::paging::Pager;
use crate::world::World;

/// `CreateCustomMetric`.
pub(crate) fn create(world: &mut World, args: &Args) -> Outcome {
    let name = args.required("metricName").to_owned();
    let token = args.required("clientRequestToken").to_owned();
    let kind = args.read("metricType")?.ok_or_else(Failure::internal)?;
    let display_name = args.text("displayName").map(str::to_owned);
    if name.starts_with("aws:") {
        return Err(Failure::invalid("metricName must not begin with aws:"));
    }
    let metrics = &world.detect.custom_metrics;
    if let Some(metric) = metrics.get(&name) {
        if metric.token == token && metric.kind == kind && metric.display_name == display_name {
            return Ok(json!({ "metricName": metric.name, "metricArn": metric.arn }).to_string());
        }
        let arn = metric.arn.clone();
        return Err(Failure::exists("A custom metric with this name already exists", name, arn));
    }
    if let Some(metric) = metrics.values().find(|metric| metric.token == token) {
        let (id, arn) = (metric.name.clone(), metric.arn.clone());
        return Err(Failure::exists("clientRequestToken was used for another custom metric", id, arn));
    }
    if metrics.len() >= MOST_CUSTOM_METRICS {
        return Err(Failure::limit(format!("The account already has {MOST_CUSTOM_METRICS} custom metrics")));
    }
    let metric = CustomMetric {
        number: world.number(),
        arn: world.settings.arn(&format!("custommetric/{name}")),
        kind,
        display_name,
        token,
        created: world.now(),
        modified: world.now(),
        name,
    };
    let answer = json!({ "metricName": metric.name, "metricArn": metric.arn }).to_string();
    world.detect.custom_metrics.insert(metric.name.clone(), metric);
    Ok(answer)
}

fn missing(name: &str) -> Failure {
    Failure::not_found(format!("Custom metric {name} does not exist"))
}

/// `UpdateCustomMetric`: its display name is all that can change.
pub(crate) fn update(world: &mut World, args: &Args) -> Outcome {
    let name = args.required("metricName");
    let now = world.now();
    let metric = world.detect.custom_metrics.get_mut(name).ok_or_else(|| missing(name))?;
    metric.display_name = args.text("displayName").map(str::to_owned);
    metric.modified = now;
    Ok(metric.describe().to_string())
}

/// `DescribeCustomMetric`.
pub(crate) fn describe(world: &mut World, args: &Args) -> Outcome {
    let name = args.required("metricName");
    let metric = world.detect.custom_metrics.get(name).ok_or_else(|| missing(name))?;
    Ok(metric.describe().to_string())
}

/// `ListCustomMetrics`, in the order of their creation.
pub(crate) fn list(world: &mut World, args: &Args) -> Outcome {
    let pager = Pager::new(world.seed(), "ListCustomMetrics", &args.0)?;
    let metrics = world.detect.custom_metrics.values();
    let (page, next) =
        pager.page(metrics.map(|metric| ((metric.number.into(), 0), metric.name.as_str().into())));
    Ok(listing("metricNames", page, next))
}

/// `DeleteCustomMetric`. "You must first remove the custom metric from all security profiles it's a part of"; deleting
/// what is not there succeeds: the operation declares no other answer.
pub(crate) fn delete(world: &mut World, args: &Args) -> Outcome {
    let name = args.required("metricName");
    if let Some(profile) = world.detect.users_of_metric(name).next() {
        return Err(Failure::invalid(format!(
            "Custom metric {name} is used by security profile {}",
            profile.name
        )));
    }
    world.detect.custom_metrics.remove(name);
    Ok(EMPTY.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::harness::Desk;

    fn create(desk: &Desk, name: &str, kind: &str, token: &str) -> (u16, Value) {
        let body = json!({ "metricType": kind, "clientRequestToken": token });
        desk.call("POST", &format!("/custom-metric/{name}"), &body)
    }

    #[test]
    fn a_token_makes_one_metric() {
        let desk = Desk::new(10);
        let made = create(&desk, "battery", "number", "t");
        let arn = "arn:aws:iot:us-east-1:123456789012:custommetric/battery";
        assert_eq!(made, (200, json!({ "metricName": "battery", "metricArn": arn })));
        assert_eq!(create(&desk, "battery", "number", "t"), made);
        for (name, kind, token) in
            [("battery", "number", "u"), ("battery", "number-list", "t"), ("other", "number", "t")]
        {
            let (status, answer) = create(&desk, name, kind, token);
            assert_eq!((status, &answer["resourceArn"]), (409, &json!(arn)), "{name} {kind} {token}");
        }
        assert_eq!(create(&desk, "aws:battery", "number", "v").0, 400);
        assert_eq!(create(&desk, "b", "numbers", "v").0, 400);
    }

    #[test]
    fn an_update_changes_what_it_is_called() {
        let desk = Desk::new(10);
        create(&desk, "battery", "ip-address-list", "t");
        let path = "/custom-metric/battery";
        let made = desk.ok("GET", path, &Value::Null);
        assert_eq!((&made["metricType"], made.get("displayName")), (&json!("ip-address-list"), None));
        desk.advance(1_500);
        let updated = desk.ok("PATCH", path, &json!({ "displayName": "Battery" }));
        assert_eq!(updated["displayName"], "Battery");
        assert_eq!(updated["creationDate"], made["creationDate"]);
        assert_eq!(
            (&made["creationDate"], &updated["lastModifiedDate"]),
            (&json!(1_700_000_000.0), &json!(1_700_000_001.5))
        );
        assert_eq!(desk.ok("GET", path, &Value::Null), updated);
        assert_eq!(desk.call("PATCH", path, &json!({})).0, 400);
        assert_eq!(desk.call("PATCH", "/custom-metric/none", &json!({ "displayName": "" })).0, 404);
    }

    #[test]
    fn a_hundred_is_the_limit_and_pages_keep_their_order() {
        let desk = Desk::new(10);
        let names: Vec<String> = (0..100).rev().map(|number| format!("m{number}")).collect();
        for name in &names {
            assert_eq!(create(&desk, name, "number", name).0, 200);
        }
        assert_eq!(create(&desk, "more", "number", "more").0, 410);
        assert_eq!(create(&desk, "m0", "number", "m0").0, 200, "a replay is no new metric");
        for query in ["", "maxResults=7", "maxResults=250"] {
            assert_eq!(desk.listed("/custom-metrics", query, "metricNames"), names);
        }
        let first = desk.ok("GET", "/custom-metrics", &Value::Null);
        assert_eq!(first["metricNames"].as_array().unwrap().len(), 25);
        desk.ok("DELETE", "/custom-metric/m5", &Value::Null);
        desk.ok("DELETE", "/custom-metric/m5", &Value::Null);
        assert_eq!(create(&desk, "more", "number", "more").0, 200);
    }

    #[test]
    fn what_is_used_cannot_be_deleted() {
        let desk = Desk::new(10);
        for (name, kind) in [("a", "number"), ("b", "number"), ("c", "string-list")] {
            create(&desk, name, kind, name);
        }
        desk.ok("POST", "/security-profiles/p", &json!({ "behaviors": [{ "name": "a", "metric": "a" }] }));
        desk.ok("POST", "/security-profiles/q", &json!({ "additionalMetricsToRetain": ["b"] }));
        desk.ok(
            "POST",
            "/security-profiles/r",
            &json!({ "additionalMetricsToRetainV2": [{ "metric": "c" }] }),
        );
        for (metric, profile) in [("a", "p"), ("b", "q"), ("c", "r")] {
            let path = format!("/custom-metric/{metric}");
            assert_eq!(desk.call("DELETE", &path, &Value::Null).0, 400);
            let users = desk.listed(
                "/security-profiles",
                &format!("metricName={metric}"),
                "securityProfileIdentifiers",
            );
            assert_eq!(users.iter().map(|user| &user["name"]).collect::<Vec<_>>(), [profile]);
            desk.ok("DELETE", &format!("/security-profiles/{profile}"), &Value::Null);
            desk.ok("DELETE", &path, &Value::Null);
            assert_eq!(desk.call("GET", &path, &Value::Null).0, 404);
        }
    }
}
