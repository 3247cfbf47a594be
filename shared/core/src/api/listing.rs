//! Findings as the service tells of them: by the page (`ListAuditFindings`) or one alone (`DescribeAuditFinding`).
//!
//! Read from its text to our own types in one pass: the SDK makes three structures of each finding before it is ours.

use serde::Deserialize;
use serde_json::Value;

use crate::api::time::millis;
use crate::ids::CheckName;
use crate::json;
use crate::model::finding::Finding;
use crate::model::finding::RelatedResource;
use crate::model::resource::NonCompliantResource;
use crate::model::severity::Severity;
use crate::timestamp::Millis;

/// A page.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listing {
    /// The findings, in the service's order. An answer without this list is no page: taken for an empty one, it
    /// would say that all findings are gone.
    #[serde(deserialize_with = "json::list")]
    pub findings: Vec<Listed>,
    /// What to ask the next page with. None at the end.
    pub next_token: Option<String>,
}

/// A finding of which every member can be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    finding_id: Option<String>,
    check_name: Option<CheckName>,
    severity: Option<Severity>,
    #[serde(default)]
    finding_time: Value,
    non_compliant_resource: Option<NonCompliantResource>,
    #[serde(default, deserialize_with = "json::list")]
    related_resources: Vec<RelatedResource>,
    reason_for_non_compliance_code: Option<String>,
    reason_for_non_compliance: Option<String>,
    is_suppressed: Option<bool>,
}

impl Listing {
    /// Reads an answer of the service.
    ///
    /// # Errors
    /// If it is no page.
    pub fn read(answer: &str) -> serde_json::Result<Self> {
        let mut page: Self = serde_json::from_str(answer)?;
        page.next_token = page.next_token.filter(|token| !token.is_empty());
        Ok(page)
    }
}

impl Listed {
    /// The finding. What names no check is of `check`. What has no id of its own gets `name` and can only be reported,
    /// as what names no resource.
    pub fn into_finding(self, check: &CheckName, name: impl FnOnce() -> String) -> Finding {
        let resource = self.non_compliant_resource.filter(|_| self.finding_id.is_some());
        let named = self.check_name.filter(|check| !check.as_str().is_empty());
        Finding {
            finding_id: self.finding_id.unwrap_or_else(name),
            check: named.unwrap_or_else(|| check.clone()),
            severity: self.severity.unwrap_or(Severity::Unknown),
            found_at: millis(&self.finding_time).unwrap_or(Millis(0)),
            resource,
            related: self.related_resources,
            reason_code: self.reason_for_non_compliance_code,
            reason: self.reason_for_non_compliance,
            suppressed: self.is_suppressed.unwrap_or(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(text: &str) -> Finding {
        let page = Listing::read(&format!(r#"{{"findings":[{text}],"nextToken":""}}"#)).unwrap();
        assert_eq!(page.next_token, None);
        let listed = page.findings.into_iter().next().unwrap();
        listed.into_finding(&CheckName::new("A_CHECK"), || "unnamed".into())
    }

    #[test]
    fn a_finding_is_taken_over_with_all_that_it_says() {
        insta::assert_json_snapshot!(finding(
            r#"{"findingId":"f-1","taskId":"t-1","checkName":"REVOKED_DEVICE_CERT_CHECK","taskStartTime":1.7953920004E9,
                "findingTime":1.795392000123E9,"severity":"HIGH","nonCompliantResource":{"resourceType":"DEVICE_CERTIFICATE",
                "resourceIdentifier":{"deviceCertificateId":"ab","newMember":{}},"additionalInfo":{"EXPIRATION_TIME":"5"}},
                "relatedResources":[{"resourceType":"CLIENT_ID","resourceIdentifier":{"clientId":"pump"}}],
                "reasonForNonCompliance":"It is revoked.","reasonForNonComplianceCode":"REVOKED","isSuppressed":true}"#
        ));
    }

    #[test]
    fn a_finding_without_anything_can_only_be_reported() {
        let nulls = r#"{"findingId":null,"checkName":null,"severity":null,"findingTime":null,"isSuppressed":null,
            "nonCompliantResource":null,"relatedResources":null,"reasonForNonComplianceCode":null}"#;
        for text in ["{}", nulls] {
            let finding = finding(text);
            assert_eq!((finding.finding_id.as_str(), finding.identifier()), ("unnamed", None));
            assert_eq!((finding.check.as_str(), finding.severity), ("A_CHECK", Severity::Unknown));
        }
        let page = Listing::read(r#"{"findings":null,"nextToken":null}"#).unwrap();
        assert!(page.findings.is_empty() && page.next_token.is_none());
    }

    #[test]
    fn an_answer_without_a_list_is_no_empty_page() {
        assert!(Listing::read("{}").is_err());
    }

    #[test]
    fn a_null_among_others_is_passed_over() {
        let resource = r#"{"resourceIdentifier":{"clientId":"pump"},"additionalInfo":{"A":null,"B":"1"}}"#;
        let text = format!(
            r#"{{"findings":[null,{{"findingId":"f","nonCompliantResource":{resource},"relatedResources":[null,{resource}]}}]}}"#
        );
        let mut page = Listing::read(&text).unwrap();
        assert_eq!(page.findings.len(), 1);
        let finding = page.findings.remove(0).into_finding(&CheckName::new("A_CHECK"), String::new);
        let [related] = &finding.related[..] else { panic!("{finding:?}") };
        let resource = finding.resource.unwrap();
        for info in [&resource.additional_info, &related.additional_info] {
            assert_eq!(info.iter().collect::<Vec<_>>(), [(&"B".to_owned(), &"1".to_owned())]);
        }
    }

    #[test]
    fn a_resource_without_an_id_of_its_finding_is_not_acted_on() {
        let resource =
            r#""nonCompliantResource":{"resourceIdentifier":{"clientId":"pump"},"additionalInfo":null}"#;
        assert_eq!(finding(&format!("{{{resource}}}")).identifier(), None);
        let named = finding(&format!(r#"{{{resource},"findingId":"f"}}"#));
        assert_eq!(named.identifier().and_then(|id| id.client_id.as_deref()), Some("pump"));
        let empty = finding(r#"{"findingId":"f","nonCompliantResource":{"resourceIdentifier":null}}"#);
        assert_eq!(empty.identifier(), None);
    }

    #[test]
    fn words_that_are_new_stay() {
        let resource = r#""nonCompliantResource":{"resourceType":"SATELLITE"}"#;
        let finding = finding(&format!(r#"{{"findingId":"f","severity":"DIRE",{resource}}}"#));
        assert_eq!(finding.severity, Severity::Unknown);
        assert_eq!(finding.resource.and_then(|r| r.resource_type).as_deref(), Some("SATELLITE"));
    }
}
