"""What the demonstration leaves is replayed from its folder, and from the bucket of a stack, to the same account; and
each of its findings is explained with the very object that the functions recorded."""

import gzip
import json
import os

from conftest import ROOT, demo, fleetwarden

FINDINGS = 400
POLICY = ROOT / "target/demo/policy.yaml"
ARCHIVE = ROOT / "target/demo/archive"


def replay(archive, **environment):
    run = fleetwarden("policy", "replay", "--archive", archive, "--policy", POLICY, "--json", env=os.environ | environment)
    assert run.returncode == 0, run.stdout + run.stderr
    return json.loads(run.stdout)


def test_the_archive_tells_what_the_demonstration_told(tmp_path, stack):
    told = demo(tmp_path, "--findings", FINDINGS)
    replayed = replay(ARCHIVE)
    assert replayed["findings"] == sum(audit["findings"] for audit in told["audits"])
    assert replayed["damage"] == {"objects": 0, "lines": 0, "named": []}
    for audit, said in zip(replayed["audits"], told["audits"], strict=True):
        assert audit["taskId"] == said["taskId"]
        assert audit["alreadySuppressed"] == said["alreadySuppressed"]
        assert audit["mitigate"] == said["mitigateDecided"]
        assert audit["suppress"] == said["suppressDecided"]

    records = [line for path in sorted(ARCHIVE.rglob("*.ndjson.gz")) for line in gzip.open(path, "rt")]
    run = fleetwarden("policy", "explain", "--policy", POLICY, "-f", "-", "--json", input="".join(records))
    assert [json.loads(line) for line in run.stdout.splitlines()] == [json.loads(line)["decision"] for line in records]

    s3 = stack.client("s3")
    s3.create_bucket(Bucket="replayed")
    for path in ARCHIVE.rglob("*.ndjson.gz"):
        s3.put_object(Bucket="replayed", Key=f"copies/{path.relative_to(ARCHIVE)}", Body=path.read_bytes())
    from_bucket = replay("s3://replayed/copies", **stack.variables)
    assert from_bucket | {"archive": ""} == replayed | {"archive": ""}
