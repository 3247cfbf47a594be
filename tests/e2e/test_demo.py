"""The whole path of a finding: nothing lost, nothing twice, observe changes nothing, a crash changes nothing, guards hold.

And that of alarms: each scenario of the demonstration of Detect ends as it should.
"""

import json

import pytest
from conftest import demo, fleetwarden

FINDINGS = 1000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("enforce")


@pytest.fixture(scope="module")
def enforced(folder):
    return demo(folder, "--findings", FINDINGS)


def test_nothing_is_lost_and_nothing_is_done_twice(enforced):
    assert (enforced["lost"], enforced["duplicates"], enforced["parked"]) == (0, 0, {})
    assert enforced["audits"][0]["findings"] == FINDINGS
    for audit in enforced["audits"]:
        outcomes = ["alreadySuppressed", "suppressDecided", "mitigateDecided", "reported"]
        assert sum(audit[outcome] for outcome in outcomes) == audit["findings"]


def test_the_second_audit_finds_less_and_counts_what_was_suppressed(enforced):
    first, second = enforced["audits"]
    assert first["suppressDecided"] > 0 and first["mitigateDecided"] > 0 and first["alreadySuppressed"] == 0
    assert second["alreadySuppressed"] == first["suppressDecided"] and second["suppressDecided"] == 0
    # Decided and done are two figures: some mitigations do not succeed.
    assert first["suppressed"] == first["suppressDecided"] and 0 < first["mitigated"] <= first["mitigateDecided"]
    # What a mitigation could not cure (a policy that has all the versions it may have) is found again.
    assert second["mitigateDecided"] < first["mitigateDecided"] / 4
    assert second["findings"] < first["findings"]
    assert enforced["suppressions"] == first["suppressDecided"]


def test_no_call_is_made_that_the_work_does_not_need(enforced):
    # 17 checks of which none but one has more than 250 findings: a page each, and two for that one.
    # What a task of a whole check has mitigated is listed again, to write down what became of each finding.
    again = sum(enforced["mitigationTasks"].values()) + FINDINGS // 250
    assert enforced["calls"]["ListAuditFindings"] <= 2 * (17 + FINDINGS // 250) + again
    # The states before a task are read as fast as the service answers, until it says otherwise.
    assert enforced["throttled"] * 20 <= sum(enforced["calls"].values())


def test_the_report_of_the_last_audit_tells_what_the_endpoint_knows(folder, enforced):
    # The demonstration holds each check's counts against the endpoint's, and counts as a fault what the report lacks.
    assert enforced["reportFaults"] == []
    report, (first, second) = enforced["report"], enforced["audits"]
    totals, changes = report["totals"], report["totals"]["changes"]
    assert (report["taskId"], report["taskStatus"]) == (second["taskId"], "COMPLETED")
    assert totals["nonCompliant"] + totals["suppressed"] == second["findings"]
    assert totals["suppressed"] == second["alreadySuppressed"] == report["suppressed"]["findings"]
    assert first["findings"] + changes["new"] + changes["returned"] - changes["fixed"] == second["findings"]
    assert changes["fixed"] > 0
    for check in report["checks"]:
        assert sum(check["severities"].values()) == sum(check["reasons"].values()) == check["nonCompliant"], check
    groups = report["suppressed"]["suppressions"]
    assert sum(group["count"] for group in groups) == enforced["suppressions"] and not report["suppressed"]["more"]
    assert all(group["by"].startswith("rule ") and group["until"] for group in groups)
    # A policy that has all the versions it may have is left out, with the reason.
    mitigated = sum(task["findings"]["total"] for task in report["mitigations"])
    assert mitigated + second["leftOut"] == second["mitigateDecided"]
    effects = totals["effects"]
    assert effects["mitigateDecided"] == second["mitigateDecided"] and effects["mitigateObserved"] == 0
    assert effects["mitigated"] == second["mitigated"]
    assert set(report["notStarted"]["states"]) <= {"superseded"}
    assert all(task["by"].startswith("rule ") for task in report["mitigations"])
    debt = report["debt"]
    assert (debt["suppressions"], debt["hidden"]) == (enforced["suppressions"], totals["suppressed"])
    for name in ["report.md", "report.html"]:
        assert second["taskId"] in (folder / name).read_text()


def test_guards_hold_stop_and_undo(enforced):
    """A mitigation waits for a person, a canary is stopped and undone, a budget holds, and an undo leaves the fleet as before."""
    guards = enforced["guards"]
    scenes = {scene["name"]: scene for scene in guards["scenes"]}
    assert {name: scene["faults"] for name, scene in scenes.items()} == {
        "approval": [], "canary": [], "budget": [], "undo": [],
    }
    steps = {name: [(step["state"], step["certificates"]) for step in scene["steps"]] for name, scene in scenes.items()}
    assert steps == {
        "approval": [("held", "1 ACTIVE"), ("completed", "1 INACTIVE")],
        "canary": [("failed", "1 ACTIVE"), ("held", "3 ACTIVE")],
        "budget": [("completed", "2 INACTIVE"), ("held", "2 ACTIVE")],
        "undo": [("", "6 ACTIVE, 3 INACTIVE"), ("", "9 ACTIVE")],
    }
    typed = {name: [command.split()[:3] for command in scene.get("commands", [])] for name, scene in scenes.items()}
    assert typed["approval"] == [["fleetwarden", "mitigation", "approve"]]
    assert typed["undo"] == [["fleetwarden", "mitigation", "undo"]] * 2
    assert all("alert" in scenes[name] for name in ["approval", "canary", "budget"])
    assert guards["seconds"] < 90


def test_observe_changes_nothing_and_says_what_it_would_have_done(tmp_path, enforced):
    observed = demo(tmp_path, "--findings", FINDINGS, "--observe")
    assert (observed["lost"], observed["duplicates"]) == (0, 0)
    assert (observed["fleetChanges"], observed["suppressions"], observed["mitigationTasks"]) == (0, 0, {})
    changing = {"CreateAuditSuppression", "UpdateAuditSuppression", "StartAuditMitigationActionsTask"}
    assert not changing & set(observed["calls"])
    first = enforced["audits"][0]
    assert observed["wouldHave"] == {"suppress": first["suppressDecided"], "mitigate": first["mitigateDecided"]}
    assert all(audit["suppressed"] == audit["mitigated"] == 0 for audit in observed["audits"])
    effects = observed["report"]["totals"]["effects"]
    assert effects["mitigateObserved"] == effects["mitigateDecided"] > 0 and effects["mitigated"] == 0
    assert set(observed["report"]["notStarted"]["states"]) == {"observed"}
    assert observed["audits"][0]["findings"] == observed["audits"][1]["findings"]
    assert "guards" not in observed


def test_functions_that_are_killed_leave_the_same_account(tmp_path, enforced):
    killed = demo(tmp_path, "--findings", FINDINGS, "--kill", "--retry-seconds", 18)
    assert {"TriageFindings", "ApplyMitigations", "ExportFindings"} <= set(killed["killed"])
    own = {"taskId", "seconds"}
    for audit, calm in zip(killed["audits"], enforced["audits"], strict=True):
        assert {k: v for k, v in audit.items() if k not in own} == {k: v for k, v in calm.items() if k not in own}
    for name in ["lost", "duplicates", "parked", "fleetChanges", "suppressions", "mitigationTasks"]:
        assert killed[name] == enforced[name], name


def test_alarms_end_as_they_should(tmp_path):
    path = tmp_path / "detect.json"
    run = fleetwarden("demo", "--detect", "--summary", path)
    assert run.returncode == 0, run.stdout + run.stderr
    account = json.loads(path.read_text())
    assert len(account["scenarios"]) == 6
    assert [scenario["faults"] for scenario in account["scenarios"]] == [[]] * 6
    assert account["alerts"]["alarm-flapping"] == 1 and account["alerts"]["model-not-built"] == 1
    report = json.loads((tmp_path / "alarms.json").read_text())
    assert report["totals"]["mitigated"] == 1 and not report.get("gaps")
    # Whoever plays a part is named on the page too.
    mitigated = next(action["thing"] for action in report["actions"] if action["what"] == "mitigated")
    for name in ["alarms.md", "alarms.html"]:
        assert mitigated in (tmp_path / name).read_text()
