"""The skeleton of every answer, as `aws iot … --generate-cli-skeleton output` prints it, one operation a line.

`python tests/contract/answers.py > local/fleetwarden/src/commands/audit/answers.json` writes them anew after a change of the
service's model.
"""

import json

from botocore.session import Session
from botocore.utils import ArgumentGenerator
from judge import AUDIT_OPERATIONS, DETECT_OPERATIONS


def skeletons():
    """The skeletons as the text of the file."""
    model, generator = Session().get_service_model("iot"), ArgumentGenerator(use_member_names=True)
    lines = []
    for name in sorted(AUDIT_OPERATIONS + DETECT_OPERATIONS):
        shape = model.operation_model(name).output_shape
        skeleton = generator.generate_skeleton(shape) if shape else {}
        text = json.dumps(skeleton, default=lambda time: time.isoformat(), separators=(",", ":"))
        lines.append(f"{json.dumps(name)}:{text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    print(skeletons(), end="")
