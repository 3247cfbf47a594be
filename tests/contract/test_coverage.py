"""What the model of the service needs a test for: that there was one. It runs last, on what the judges have seen."""

import pytest
from judge import AUDIT_OPERATIONS, BAD_TOKEN, DETECT_OPERATIONS, LAST_PAGE, MEMBERSHIP_OPERATIONS, MODEL, PAGED, REACH_OPERATIONS, REGISTRY_OPERATIONS, UNDO_OPERATIONS, Judge

OPERATIONS = [*AUDIT_OPERATIONS, *DETECT_OPERATIONS, *REGISTRY_OPERATIONS, *MEMBERSHIP_OPERATIONS, *UNDO_OPERATIONS, *REACH_OPERATIONS]
# Nobody is unauthorized here, and a service that is unavailable is ordered as a 503 without any code.
NEVER_GIVEN = {"UnauthorizedException", "ServiceUnavailableException"}
# A request that attaches a profile cannot say which version it expects.
# One that has no input cannot have a wrong one.
# A list of the targets of a policy has no limit that it could exceed.
NEVER_GIVEN_BY = {
    "AttachSecurityProfile": {"VersionConflictException"}, "GetLoggingOptions": {"InvalidRequestException"},
    "ListTargetsForPolicy": {"LimitExceededException"},
}
# A policy has five versions at most: they come on one page.
NEVER_PAGED = {"ListPolicyVersions"}


def needed(operation):
    described = MODEL["operations"][operation]
    errors = {error["shape"] for error in described["errors"]} - NEVER_GIVEN - NEVER_GIVEN_BY.get(operation, set())
    paging = {LAST_PAGE, BAD_TOKEN} if operation in PAGED else set()
    return {200, "boto3", "aws-cli"} | errors | paging


def test_the_operations_are_those_of_the_model():
    assert len(AUDIT_OPERATIONS) == 30
    assert len(DETECT_OPERATIONS) == 30
    lists = {operation for operation in set(OPERATIONS) - NEVER_PAGED if operation.startswith("List") or "Summaries" in operation}
    assert lists == {operation for operation in OPERATIONS if operation in PAGED}
    declared = {error for operation in [*AUDIT_OPERATIONS, *DETECT_OPERATIONS] for error in needed(operation) if "Exception" in str(error)}
    assert declared == {
        "InternalFailureException", "InvalidRequestException", "LimitExceededException", "ResourceAlreadyExistsException",
        "ResourceNotFoundException", "TaskAlreadyExistsException", "ThrottlingException",
        "VersionConflictException",
    }


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_answer_was_seen(request, operation):
    options = request.config.option
    if options.keyword or options.markexpr or any(".py" in argument for argument in request.config.args):
        pytest.skip("only a part of the tests was run")
    assert needed(operation) - Judge.ever.get(operation, set()) == set()
