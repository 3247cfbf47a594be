"""A proxy that judges: every request and answer against botocore's model of the service.

It stands between any client and any endpoint. `bad_requests` is what clients sent against the model,
`verdicts` what the endpoint did wrong: an answer that does not fit, or a bad request that it accepted.
It cannot judge what the model does not say: check names, severities, rules between members.
"""

import json
import re
from http.client import HTTPConnection
from urllib.parse import parse_qsl, unquote, urlsplit

import loopback
from botocore.loaders import Loader

MODEL = Loader().load_service_model("iot", "service-2")
SHAPES = MODEL["shapes"]
PAGED = Loader().load_service_model("iot", "paginators-1")["pagination"]
LAST_PAGE, BAD_TOKEN = "the last of several pages", "a token that is refused"
AUDIT_OPERATIONS = sorted(
    name for name in MODEL["operations"] if ("Audit" in name or "MitigationAction" in name) and "Detect" not in name
)
OF_DETECT = ("SecurityProfile", "CustomMetric", "Violation", "DetectMitigation", "MetricValues", "BehaviorModel")
DETECT_OPERATIONS = sorted(
    name for name in MODEL["operations"]
    if any(part in name for part in OF_DETECT) or name.endswith(("Dimension", "Dimensions"))
)
# Those with which one learns what things are behind a finding, and which resources there are.
REGISTRY_OPERATIONS = [
    "DescribeThing", "DescribeThingGroup", "GetPolicy", "ListCACertificates", "ListCertificates", "ListPolicies",
    "ListPrincipalThings", "ListRoleAliases", "ListThingGroups", "ListThingGroupsForThing", "ListThingPrincipals",
    "ListThings", "ListThingsInThingGroup",
]
# Those that put a thing into a group and take it out.
MEMBERSHIP_OPERATIONS = ["AddThingToThingGroup", "RemoveThingFromThingGroup"]
# Those that read what mitigation actions change, and put it back.
UNDO_OPERATIONS = [
    "CreatePolicyVersion", "DeletePolicyVersion", "DescribeCACertificate", "DescribeCertificate", "GetLoggingOptions",
    "GetV2LoggingOptions", "ListPolicyVersions", "SetDefaultPolicyVersion", "SetLoggingOptions", "SetV2LoggingOptions",
    "UpdateCACertificate", "UpdateCertificate", "UpdateThingGroupsForThing",
]
# Those with which one learns which devices are behind a policy or a CA certificate, and whether they are connected.
REACH_OPERATIONS = ["GetThingConnectivityData", "ListCertificatesByCA", "ListTargetsForPolicy"]
SIGNATURE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[^/]+/\d{8}/[a-z0-9-]+/iot/aws4_request, ?SignedHeaders=[a-z0-9;-]+, ?Signature=[0-9a-f]{64}$"
)
ISO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
JSON_TYPES = {"double": (int, float), "string": str, "boolean": bool, "list": list, "map": dict, "structure": dict}
# Where a value out of its range is answered with what is wrong, as the AWS CLI's example of it shows.
JUDGED_BY_THE_SERVICE = {"ValidateSecurityProfileBehaviors": re.compile(r"behaviors\[\d+\]\.criteria\.consecutiveDatapoints\w+: .* is not in ")}
# Declared by no operation: what answers when no operation does.
BEFORE_ANY_OPERATION = {"UnknownOperationException": 404, "MissingAuthenticationTokenException": 403}


def routes():
    """(method, compiled path, operation), literal paths before those with members."""
    for name, operation in sorted(MODEL["operations"].items(), key=lambda item: item[1]["http"]["requestUri"].count("{")):
        path = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(operation["http"]["requestUri"].split("?")[0]))
        yield operation["http"]["method"], re.compile(path + "$"), name


ROUTES = list(routes())


def matches(pattern, text):
    pattern = pattern.replace(r"\p{Graph}", r"\x21-\x7e\xa1-\U0010ffff").replace(r"\p{L}\p{Z}\p{N}_", r"\w ")
    pattern = pattern.replace(r"\p{Cntrl}", r"\x00-\x1f\x7f-\x9f")
    return re.fullmatch(pattern, text) is not None


def check(name, value, path, in_query=False):
    """Yields what is wrong with a value of a shape."""
    shape = SHAPES[name]
    kind = shape["type"]
    if in_query and kind in ("integer", "long", "boolean"):
        try:
            value = json.loads(value)
        except ValueError:
            pass
    if kind == "timestamp":
        good = bool(ISO_TIME.match(value)) if in_query else isinstance(value, (int, float)) and not isinstance(value, bool)
        if not good:
            yield f"{path}: {value!r} is no timestamp"
        return
    wanted = JSON_TYPES.get(kind, int)
    if not isinstance(value, wanted) or (kind in ("integer", "long", "double") and isinstance(value, bool)):
        yield f"{path}: {type(value).__name__} instead of {kind}"
        return
    size = value if wanted is int else len(value) if wanted in (str, list, dict) else 0
    if kind != "structure" and not shape.get("min", size) <= size <= shape.get("max", size):
        yield f"{path}: {size} is not in {shape.get('min')}..{shape.get('max')}"
    if "enum" in shape and value not in shape["enum"]:
        yield f"{path}: {value!r} is not in the enum"
    if "pattern" in shape and not matches(shape["pattern"], value):
        yield f"{path}: {value!r} does not match {shape['pattern']}"
    if kind == "list":
        for index, item in enumerate(value):
            yield from check(shape["member"]["shape"], item, f"{path}[{index}]")
    elif kind == "map":
        for key, item in value.items():
            yield from check(shape["key"]["shape"], key, f"{path}.key")
            yield from check(shape["value"]["shape"], item, f"{path}.{key}")
    elif kind == "structure":
        yield from check_members(shape, value, path)


def check_members(shape, value, path):
    for member in shape.get("required", []):
        if value.get(member) is None:
            yield f"{path}.{member}: missing"
    for member, item in value.items():
        if member not in shape["members"]:
            yield f"{path}.{member}: unknown member"
        elif item is None:
            yield f"{path}.{member}: null"
        else:
            yield from check(shape["members"][member]["shape"], item, f"{path}.{member}")


class Judge:
    """The proxy, on a free loopback port."""

    # What all judges of this process have seen of each operation: 200, errors, clients, and of lists the ends.
    ever = {}

    def __init__(self, upstream):
        self.upstream = urlsplit(upstream).netloc
        self.verdicts, self.bad_requests, self.seen = [], [], {}
        judge = self

        class Answers(loopback.Handler):
            def answer(self):
                judge.handle(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        self.server = loopback.serve(Answers)
        self.url = "http://127.0.0.1:%d" % self.server.server_port

    def handle(self, http):
        body = http.rfile.read(int(http.headers.get("content-length") or 0))
        upstream = HTTPConnection(self.upstream, timeout=60)
        headers = {name: value for name, value in http.headers.items() if name.lower() != "host"}
        upstream.request(http.command, http.path, body, headers)
        response = upstream.getresponse()
        answer = response.read()
        upstream.close()
        if not http.path.startswith("/_control/"):
            self.judge(http.command, http.path, http.headers, body, response, answer)
        http.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length", "date", "server"):
                http.send_header(name, value)
        http.send_header("content-length", str(len(answer)))
        http.end_headers()
        http.wfile.write(answer)

    def judge(self, method, target, headers, body, response, answer):
        path, _, query = target.partition("?")
        found = ((name, pattern.match(path)) for verb, pattern, name in ROUTES if verb == method)
        name, match = next(((name, match) for name, match in found if match), (None, None))
        bad = [] if SIGNATURE.match(headers.get("authorization", "")) else ["no SigV4 signature"]
        if name is None:
            bad.append(f"no operation answers {method} {path}")
        else:
            bad += self.check_request(name, match, parse_qsl(query, keep_blank_values=True), headers, body)
        error = (response.getheader("x-amzn-errortype") or "").split(":")[0]
        self.seen.setdefault(name, set()).add(error or response.status)
        self.ever.setdefault(name, set()).update(self.witnessed(name, query, headers, body, response.status, error, answer))
        wrong = list(self.check_answer(name, response, error, answer))
        if response.status == 200 and any("unknown member" not in fault for fault in bad):
            wrong.append("a bad request was accepted")
        self.bad_requests += [f"{name}: {fault}" for fault in bad]
        self.verdicts += [f"{name}: {fault} (answer {response.status} {answer[:200]!r})" for fault in wrong]

    @staticmethod
    def witnessed(name, query, headers, body, status, error, answer):
        """What a call proves that its operation can do."""
        yield error or status
        if status == 200:
            yield headers.get("user-agent", "").partition("/")[0].lower()
        given = dict(parse_qsl(query))
        if body.startswith(b"{") and body.endswith(b"}"):
            given.update(json.loads(body))
        if name in PAGED and given.get(PAGED[name]["input_token"]):
            if error == "InvalidRequestException":
                yield BAD_TOKEN
            if status == 200 and not json.loads(answer).get(PAGED[name]["output_token"]):
                yield LAST_PAGE

    @staticmethod
    def check_request(name, match, query, headers, body):
        shape = SHAPES[MODEL["operations"][name]["input"]["shape"]]
        try:
            value = json.loads(body or b"{}")
        except ValueError:
            return ["the body is no JSON"]
        # Headers are there for more than the operation's members: only those that the model names are looked at.
        named = {r.get("locationName") for r in shape["members"].values() if r.get("location") == "header"}
        # One member can be the whole body.
        if "payload" in shape:
            value = {shape["payload"]: value} if body else {}
        places = {
            "uri": {key: unquote(text) for key, text in match.groupdict().items()},
            "querystring": dict(query),
            "header": {key.lower(): text for key, text in headers.items() if key.lower() in named},
        }
        faults = []
        for member, reference in shape["members"].items():
            place = reference.get("location")
            text = places.get(place, {}).pop(reference.get("locationName"), None)
            if text is not None:
                faults += check(reference["shape"], text, member, in_query=True)
                value[member] = text
        faults += [f"{member}: unknown parameter" for place in places.values() for member in place]
        body_shape = {"required": shape.get("required", []), "members": shape["members"]}
        located = {member for member, reference in shape["members"].items() if reference.get("location")}
        left = JUDGED_BY_THE_SERVICE.get(name)
        return faults + [
            fault for fault in check_members(body_shape, value, "input")
            if not any(fault.startswith(f"input.{member}:") and "missing" not in fault for member in located)
            if not (left and left.search(fault))
        ]

    @staticmethod
    def check_answer(name, response, error, answer):
        if not response.getheader("x-amzn-requestid"):
            yield "no x-amzn-RequestId"
        try:
            value = json.loads(answer)
        except ValueError:
            yield "the answer is no JSON"
            return
        if response.status == 200:
            output = MODEL["operations"][name].get("output", {}).get("shape")
            yield from check(output, value, "output") if output else ()
        elif error in BEFORE_ANY_OPERATION:
            if response.status != BEFORE_ANY_OPERATION[error]:
                yield f"status {response.status} for {error}"
        elif error not in [declared["shape"] for declared in MODEL["operations"].get(name, {}).get("errors", [])]:
            yield f"{error or 'an error without x-amzn-ErrorType'} is not declared"
        else:
            if response.status != SHAPES[error]["error"]["httpStatusCode"]:
                yield f"status {response.status} for {error}"
            if not value.get("message"):
                yield "an error without message"
            yield from check(error, value, error)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
