"""The page of ``amct report``: one HTML file that opens without a network.

``drawing/`` turns numbers into coordinates, ``views.py`` collects what a part of the page shows,
and ``templates/`` say how it looks; nothing is measured or judged here.
"""

from __future__ import annotations

from cpu_sim_backend.report_page.page import check_installed, render

__all__ = ["check_installed", "render"]
