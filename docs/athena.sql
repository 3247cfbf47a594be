-- The archive as a table of Amazon Athena, one row for each finding of each audit.
--
-- Put your bucket, account and regions in place of BUCKET, 123456789012 and us-east-1. The partitions are
-- projected from the keys of the objects: there is nothing to crawl and nothing to repair. The check is
-- injected, because the service has no closed list of checks: a query names the one that it is about.
--
-- Times are milliseconds since 1970; from_unixtime(first_seen / 1000) reads them.

CREATE EXTERNAL TABLE IF NOT EXISTS fleetwarden_findings (
  task_id string,
  schedule string,
  audit_started_at bigint,
  `key` string,
  status string,
  first_seen bigint,
  finding_id string,
  severity string,
  found_at bigint,
  resource struct<
    resourcetype: string,
    resourceidentifier: struct<
      devicecertificateid: string,
      devicecertificatearn: string,
      cacertificateid: string,
      cognitoidentitypoolid: string,
      clientid: string,
      policyversionidentifier: struct<policyname: string, policyversionid: string>,
      account: string,
      iamrolearn: string,
      rolealiasarn: string,
      issuercertificateidentifier: struct<
        issuercertificatesubject: string,
        issuerid: string,
        issuercertificateserialnumber: string
      >
    >,
    additionalinfo: map<string, string>
  >,
  reason_code string,
  reason string,
  suppressed boolean,
  decision struct<
    outcome: string,
    rule: string,
    actions: array<string>,
    passedover: array<struct<rule: string, failedon: string>>,
    mode: string,
    policy: string
  >
)
PARTITIONED BY (account string, region string, day string, `check` string)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
WITH SERDEPROPERTIES (
  'mapping.task_id' = 'taskId',
  'mapping.audit_started_at' = 'auditStartedAt',
  'mapping.first_seen' = 'firstSeen',
  'mapping.finding_id' = 'findingId',
  'mapping.found_at' = 'foundAt',
  'mapping.reason_code' = 'reasonCode'
)
STORED AS INPUTFORMAT 'org.apache.hadoop.mapred.TextInputFormat'
OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
LOCATION 's3://BUCKET/findings/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.account.type' = 'enum',
  'projection.account.values' = '123456789012',
  'projection.region.type' = 'enum',
  'projection.region.values' = 'us-east-1',
  'projection.day.type' = 'date',
  'projection.day.format' = 'yyyy-MM-dd',
  'projection.day.range' = '2026-01-01,NOW',
  'projection.check.type' = 'injected',
  'storage.location.template' =
    's3://BUCKET/findings/account=${account}/region=${region}/day=${day}/check=${check}/'
);

-- What is open, and since when: the findings of the latest audit of a check, the oldest first.
SELECT "key", severity, reason_code, resource.resourceidentifier, from_unixtime(first_seen / 1000) AS since
FROM fleetwarden_findings
WHERE "check" = 'DEVICE_CERTIFICATE_EXPIRING_CHECK'
  AND day >= date_format(current_date - interval '7' day, '%Y-%m-%d')
  AND audit_started_at = (
    SELECT max(audit_started_at)
    FROM fleetwarden_findings
    WHERE "check" = 'DEVICE_CERTIFICATE_EXPIRING_CHECK'
      AND day >= date_format(current_date - interval '7' day, '%Y-%m-%d'))
  AND NOT suppressed
ORDER BY first_seen;

-- How the decisions on a check went, day by day.
SELECT day, decision.outcome, decision.rule, count(*) AS findings
FROM fleetwarden_findings
WHERE "check" = 'IOT_POLICY_OVERLY_PERMISSIVE_CHECK'
GROUP BY day, decision.outcome, decision.rule
ORDER BY day, findings DESC;

-- The life of one finding: its key stays from audit to audit.
SELECT from_unixtime(audit_started_at / 1000) AS audited, status, decision.outcome, decision.rule, decision.mode
FROM fleetwarden_findings
WHERE "check" = 'DEVICE_CERTIFICATE_EXPIRING_CHECK' AND "key" = '8174099687a26621f4e2cdd7cc03b3da'
ORDER BY audit_started_at;
