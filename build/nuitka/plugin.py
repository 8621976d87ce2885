# ruff: noqa: INP001  Nuitka loads it by its path
"""What Nuitka is told that no flag of its can say.

This file imports Nuitka and is therefore under Nuitka's licence, the GNU Affero General Public License 3. It runs
while the executable is built and is no part of it.
"""

from pathlib import Path

from nuitka.plugins.PluginBase import NuitkaPluginBase

#: Linked to what Nuitka makes. By ``onefile_`` in its name the first goes to the bootstrap only, others do not.
_OURS_IN_C = tuple(
    Path(__file__).with_name(name) for name in ("onefile_bootstrap.c", "older_glibc.c", "interrupts.c")
)

#: Nuitka makes the program start in modules with such names.
_START = ("__main__", "__parents_main__")


class CcrouterPlugin(NuitkaPluginBase):
    """Only our own package is compiled: dependencies as C code are larger, slower to build and no faster."""

    plugin_name = "ccrouter"

    def decideCompilation(self, module_name: str) -> str:  # noqa: N802  Nuitka's name
        """See `NuitkaPluginBase.decideCompilation`."""
        name = str(module_name)
        ours = f"{name}.".startswith("ccrouter.") or name in _START
        return "compiled" if ours or name.endswith(("-preLoad", "-postLoad")) else "bytecode"

    def getExtraCodeFiles(self) -> dict[str, str]:  # noqa: N802  Nuitka's name
        """See `NuitkaPluginBase.getExtraCodeFiles`."""
        return {path.name: path.read_text("utf-8") for path in _OURS_IN_C}
