"""List what is installed with the service, from the lock, as a CycloneDX document."""

import json
import re
from pathlib import Path
from typing import Any

from app import __version__

LOCK = Path(__file__).resolve().parent.parent / "requirements.lock"
PINNED = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>[^\s;\\]+)", re.MULTILINE)


def bill_of_materials() -> str:
    """The document: the service, and every package that its image installs by hash."""
    parts = [(found["name"], found["version"]) for found in PINNED.finditer(LOCK.read_text())]
    service = f"membudget-server@{__version__}"
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": service,
                "name": "membudget-server",
                "version": __version__,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": [
            {
                "type": "library",
                "bom-ref": purl(name, version),
                "name": name,
                "version": version,
                "purl": purl(name, version),
            }
            for name, version in sorted(parts)
        ],
        "dependencies": [{"ref": service, "dependsOn": sorted(purl(*part) for part in parts)}],
    }
    return json.dumps(document, indent=1) + "\n"


def purl(name: str, version: str) -> str:
    """The address of a package, as bills of materials write it."""
    return f"pkg:pypi/{re.sub(r'[-_.]+', '-', name)}@{version}"
