"""From numbers to coordinates: what a template draws, without a word of HTML.

A plot is a box of 1000 by 100 units that is stretched to the width of the page.  Its text stands
beside it, in percent of the same box, so that letters keep their size on a telephone.
"""

from __future__ import annotations
