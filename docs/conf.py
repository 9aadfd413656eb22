"""How Sphinx builds the site; ``make docs`` calls it, and every warning is an error there."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS / "_ext"))

project = "AMCT for Caffe"
author = "the contributors"
# On every page, since the names could mislead.
project_copyright = (
    "the contributors. This project is independent of Huawei; "
    "AMCT and Ascend are names of Huawei's."
)
release = version = metadata.version("amct-core")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "amct_site",
]
myst_enable_extensions = ["deflist"]
# Links to headings have the anchors that code hosts give them.
myst_heading_anchors = 4

exclude_patterns = ["_ext", "_static"]
html_theme = "furo"
html_title = f"{project} {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
# The sources are in the repository.
html_copy_source = False
html_show_sphinx = False

# A page is the same whatever the width of the terminal that built it, and needs no network.
pygments_style = "friendly"
highlight_language = "none"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": False}
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

# Dashes of options stay two dashes.
smartquotes = False

_PUBLIC = "|".join(
    re.escape(module)
    for module in re.findall(
        r"^\| `([a-z_0-9.]+)` \|",
        (DOCS / "compatibility.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
)
# A reference must lead somewhere if it is to a name of a public module; others have no page.
nitpick_ignore_regex = [
    ("py:.*", rf"(?!(?:{_PUBLIC})(?:\.\w+)?$).*"),
    ("py:mod", r"amct_core\.files\.journal|cpu_sim_backend\.data|amct_caffe\.user_modules"),
    ("py:.*", r"amct_core\.\w+(?:\.\w+)?\.[A-Z]"),  # variables of types
]
