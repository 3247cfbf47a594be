"""`make sim-mutants`: breaks the product in each way of `mutants.toml`, one after the other, in a copy below `target/`,
and says after how many seeds the simulation sees it.

    python3 local/simulation/mutants.py           every mutant
    python3 local/simulation/mutants.py NAME...   these alone
    python3 local/simulation/mutants.py --check   only whether each edit is still possible

Each has 200 seeds, or as many as its `seeds` in the file says: what takes several rare events at once is rarer. A mutant that is
not caught survives; one with `survives` in the file is expected to, for the reason that stands there. The command fails if another
one survives.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORK = ROOT / "target" / "mutants"
TREE = WORK / "tree"
BUILD = WORK / "build"
RESULTS = ROOT / "target" / "sim" / "mutants.json"
SEEDS = 200
BROKEN = re.compile(r"^seed (\d+) broke \d+ promises, such as: (.*)$", re.MULTILINE)


def mutants():
    return tomllib.loads((HERE / "mutants.toml").read_text(encoding="utf-8"))["mutant"]


def edits(mutant):
    """What it changes: one place, and those that would keep the promise alone."""
    return [mutant, *mutant.get("also", [])]


def problems(every):
    """What is wrong with the file: the code that it edits may have changed."""
    names = [mutant["name"] for mutant in every]
    yield from (f"{name}: the name is there twice" for name in sorted({n for n in names if names.count(n) > 1}))
    for mutant in every:
        for edit in edits(mutant):
            path = ROOT / edit["file"]
            count = path.read_text(encoding="utf-8").count(edit["find"]) if path.is_file() else 0
            if count != 1:
                yield f"{mutant['name']}: its text is in {edit['file']} {count} times, and has to be there once"
            if edit["find"] == edit["replace"]:
                yield f"{mutant['name']}: it changes nothing in {edit['file']}"


def put(path, content):
    """Writes a file unless it has this content: cargo compiles again what has another time."""
    if not path.is_file() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def copy_sources():
    """The tree with the sources as they are now, and nothing else."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split("\0")
    wanted = {name for name in listed if name and (ROOT / name).is_file()}
    for name in wanted:
        put(TREE / name, (ROOT / name).read_bytes())
    for path in TREE.rglob("*"):
        if path.is_file() and path.relative_to(TREE).as_posix() not in wanted:
            path.unlink()


def build():
    """Compiles the simulation in the tree. Gives what the compiler says if it does not."""
    done = subprocess.run(
        ["cargo", "build", "--locked", "--quiet", "--profile", "simulation", "-p", "fleetwarden-simulation"],
        cwd=TREE, env=os.environ | {"CARGO_TARGET_DIR": str(BUILD)}, capture_output=True, text=True,
    )
    return None if done.returncode == 0 else done.stderr


def simulate(seeds):
    """Runs so many seeds until one breaks a promise: its number and the promise, or nothing."""
    done = subprocess.run(
        [BUILD / "simulation" / "fleetwarden-simulation", "--seeds", str(seeds), "--until-failure",
         "--summary", WORK / "summary.json"],
        cwd=TREE, capture_output=True, text=True,
    )
    broken = [(int(seed), what) for seed, what in BROKEN.findall(done.stdout)]
    if done.returncode != 0 and not broken:
        sys.exit(f"the simulation failed:\n{done.stdout}{done.stderr}")
    return min(broken, default=None)


def attempt(mutant):
    """What becomes of one mutant."""
    began = time.monotonic()
    seeds = mutant.get("seeds", SEEDS)
    before = {edit["file"]: (TREE / edit["file"]).read_text(encoding="utf-8") for edit in edits(mutant)}
    for edit in edits(mutant):
        path = TREE / edit["file"]
        path.write_text(path.read_text(encoding="utf-8").replace(edit["find"], edit["replace"]), encoding="utf-8")
    try:
        if failed := build():
            sys.exit(f"{mutant['name']} does not compile:\n{failed}")
        caught = simulate(seeds)
    finally:
        for name, text in before.items():
            (TREE / name).write_text(text, encoding="utf-8")
    seed, broken = caught or (None, None)
    return {
        "name": mutant["name"],
        "promise": mutant["promise"],
        "caught": caught is not None,
        "seed": seed,
        "seeds": seeds if seed is None else seed + 1,
        "broken": broken,
        "survives": mutant.get("survives"),
        "seconds": round(time.monotonic() - began),
    }


def row(result):
    seeds, seconds = f"{result['seeds']} seeds", f"{result['seconds']} s"
    said = result["broken"] if result["caught"] else f"SURVIVES: {result['survives'] or result['promise']}"
    return f"{result['name']:<36} {seeds:>10} {seconds:>6}  {said[:150]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="the mutants to try; all of them without a name")
    parser.add_argument("--check", action="store_true", help="only see whether each edit is still possible")
    arguments = parser.parse_args()
    every = mutants()
    if found := list(problems(every)):
        sys.exit("\n".join(found))
    if unknown := set(arguments.names) - {mutant["name"] for mutant in every}:
        sys.exit(f"there is no mutant {', '.join(sorted(unknown))}")
    if arguments.check:
        print(f"{len(every)} mutants can be made")
        return
    copy_sources()
    if failed := build():
        sys.exit(f"the sources do not compile:\n{failed}")
    results = []
    for mutant in every:
        if not arguments.names or mutant["name"] in arguments.names:
            results.append(attempt(mutant))
            print(row(results[-1]), flush=True)
            RESULTS.parent.mkdir(parents=True, exist_ok=True)
            RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    caught = sum(result["caught"] for result in results)
    unexpected = [result for result in results if not result["caught"] and result["survives"] is None]
    for result in results:
        if result["caught"] and result["survives"] is not None:
            print(f"{result['name']} is caught: the file says that it survives")
    print(f"{caught} caught, {len(results) - caught} survived")
    sys.exit(1 if unexpected else 0)


if __name__ == "__main__":
    main()
