"""The floor plan, as a test: who may import whom, how big a file may grow."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "vlbias"
SPEECH = {"errors", "records", "answers", "estimates"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "records": {"errors"},
    "answers": {"errors", "records"},
    "estimates": {"errors", "records"},
    "rooms": {"errors"},
    "strictyaml": {"errors"},
    "config": SPEECH | {"rooms", "strictyaml"},
    "videos": {"errors", "records", "disk"},
    "probes": {"errors", "records", "strictyaml", "disk", "formats", "videos"},
    "prompts": {"errors", "records", "probes"},
    "replies": {"errors", "records"},
    "disk": {"errors"},
    "locks": {"errors"},
    "redaction": set(),
    "rows": SPEECH,
    "store": SPEECH | {"disk", "locks", "redaction", "rows"},
    "parquet": SPEECH | {"rows"},
    "models": {"errors", "records", "prompts", "disk"},
    "metrics": SPEECH,
    "formats": SPEECH | {"disk"},
    "debias": SPEECH | {"models", "attention"},
    "organisms": {"disk", "errors", "records", "rooms", "probes", "videos", "prompts", "models"},
    "reports": SPEECH,
    "schedule": SPEECH,
    "plan": SPEECH | {"schedule", "rooms", "config", "probes", "prompts", "strictyaml"},
    "ahead": set(),
    "places": SPEECH | {"models", "plan", "prompts", "replies"},
    "canary": {"errors", "records", "videos", "models"},
    "run": SPEECH
    | {"rooms", "config", "plan", "probes", "videos", "prompts", "replies", "models", "store", "canary", "ahead"}
    | {"places"},
    "arms": SPEECH | {"rooms", "config", "prompts", "debias", "run"},
    "corrections": SPEECH | {"rooms", "disk", "debias"},
    "debiased": SPEECH | {"arms", "corrections", "debias", "models", "plan", "run"},
    "session": SPEECH
    | {"rooms", "config", "plan", "run", "videos", "prompts", "models", "store", "canary"}
    | {"debiased", "arms", "corrections", "organisms", "places"},
    "costs": SPEECH | {"debias", "models"},
    "athand": SPEECH | {"config", "plan", "run", "models", "session", "arms", "corrections", "costs"},
    "proof": SPEECH | {"metrics"},
    "mapproof": SPEECH | {"metrics", "proof"},
    "proofs": SPEECH | {"disk"},
    "tryout": SPEECH | {"arms", "athand", "corrections", "costs", "debias", "models", "run"},
    "debiasing": SPEECH
    | {"arms", "athand", "corrections", "costs", "debias", "mapproof", "proof", "proofs", "store", "tryout"},
    "likeness": SPEECH | {"metrics"},
    "transfer": SPEECH
    | {"arms", "athand", "corrections", "debias", "debiasing", "likeness", "proof", "store", "tryout"},
    "shortcuts": SPEECH | {"rooms", "formats", "metrics"},
    "observer": SPEECH | {"metrics"},
    "debiascheck": SPEECH
    | {"arms", "athand", "debias", "debiasing", "metrics", "observer", "prompts", "proof", "run", "selfcheck"}
    | {"tryout"},
    "debiaspage": {"arms", "debiascheck", "reports", "selfcheck"},
    "audit": SPEECH | {"formats", "metrics", "shortcuts"},
    "power": SPEECH | {"metrics", "store"},
    "lengths": SPEECH | {"scoring", "store", "reports"},
    "fingerprint": SPEECH | {"scoring", "store", "reports", "lengths"},
    "forecast": SPEECH | {"metrics", "plan", "power"},
    "dryrun": SPEECH | {"rooms", "config", "plan", "run", "prompts", "schedule", "session", "forecast"},
    "static_pe": SPEECH | {"metrics", "models", "videos"},
    "doctor": SPEECH | {"rooms", "videos", "models", "canary", "organisms"},
    "scoring": SPEECH | {"rooms", "config", "store", "metrics", "proofs", "reports"},
    "imports": SPEECH | {"store"},
    "display": {"errors"},
    "listing": {"errors", "rooms", "plan"},
    "job": SPEECH
    | {"rooms", "config", "display", "plan", "session", "dryrun", "scoring", "store", "parquet", "reports", "imports"}
    | {"strictyaml", "probes", "videos", "fingerprint", "forecast"},
    "attention": {"errors", "records"},
    "bench": SPEECH
    | {"rooms", "attention", "models", "metrics", "run", "plan", "config", "videos", "prompts"}
    | {"arms", "athand", "session", "tryout"},
    "responders": SPEECH | {"rooms", "config", "plan", "session", "store", "scoring"},
    "selfcheck": SPEECH | {"responders", "metrics"},
    "groundtruth": SPEECH | {"organisms", "probes", "prompts", "metrics"},
    "groundtruth_page": SPEECH | {"groundtruth"},
    "validity": {"selfcheck", "power", "metrics"},
    "recovery": SPEECH | {"rooms", "config", "plan", "prompts", "selfcheck", "metrics"},
    "cellcheck": SPEECH | {"rooms", "config", "places", "plan", "prompts", "run", "selfcheck"},
    "order_page": SPEECH | {"scoring", "recovery", "reports"},
    "commands": SPEECH
    | {"rooms", "job", "scoring", "listing", "display", "power", "selfcheck", "validity", "fingerprint", "audit"}
    | {"shortcuts", "static_pe", "recovery", "order_page", "cellcheck"}
    | {"debiasing", "debiascheck", "debiaspage", "transfer", "reports", "organisms", "groundtruth", "groundtruth_page"},
    "cli": {"errors", "rooms", "job", "scoring", "listing", "doctor"},
}
TORCH = {"torch", "transformers", "open_clip", "torchvision", "torchcodec"}
PIXELS = {"decord", "cv2", "av"}
MAY_USE_TORCH = {"models", "attention", "debias", "organisms", "bench"}
MAY_USE_PIXELS = {"videos", "organisms"}
BUNDLED_DATA = ROOT / "data"


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


FILES = [p for p in sorted(ROOT.rglob("*.py")) if p.parent != ROOT or not p.name.startswith("__")]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_file_keeps_to_the_floor_plan(path: Path) -> None:
    room, names = room_of(path), imported(path)
    inside = {n.split(".")[1] for n in names if n.startswith("vlbias.")} - {"__version__"}
    assert inside <= MAY_IMPORT[room] | {room}, f"{room} may not import {inside - MAY_IMPORT[room] - {room}}"
    heads = {n.split(".")[0] for n in names}
    light = path.name == "__init__.py"
    assert not heads & TORCH or (room in MAY_USE_TORCH and not light) or path.name == "decode_torchcodec.py"
    assert not heads & PIXELS or (room in MAY_USE_PIXELS and not light)
    assert len(path.read_text().splitlines()) <= 300
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 50, f"{node.name} is too long"


def test_floor_plan_has_no_cycle() -> None:
    left = {room: set(others) for room, others in MAY_IMPORT.items()}
    while free := [room for room, others in left.items() if not others]:
        left = {room: others - set(free) for room, others in left.items() if room not in free}
    assert not left, f"cycle among {sorted(left)}"


def test_every_room_states_its_contract() -> None:
    for folder in sorted(p for p in ROOT.iterdir() if p.is_dir() and any(p.glob("*.py"))):
        contract = (folder / "__init__.py").read_text()
        assert ast.get_docstring(ast.parse(contract)), f"{folder.name} says nothing of itself"
