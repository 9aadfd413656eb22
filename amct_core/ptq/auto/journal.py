"""Results that survive the process: a search that was killed goes on from them."""

from __future__ import annotations

import json
import logging
import os
import time
from typing import Any, Callable, Dict, List

import attrs

from amct_core.config.values import parse_json
from amct_core.errors import FileFormatError
from amct_core.files import read_text, write_atomically

_log = logging.getLogger("amct_core.ptq")


@attrs.define(eq=False)
class Journal:
    """A JSON file of results in the order they were found.

    Each result is written before the next is computed, in one step, so that the file is whole
    whenever the process dies.

    Attributes:
        path: of the file.
        key: digest of all that results depend on; a file with another key is begun anew.
    """

    path: str
    key: str
    _entries: List[Dict[str, Any]] = attrs.field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        if not os.path.isfile(self.path):
            return
        try:
            found = parse_json(read_text(self.path))
            if found["key"] == self.key:
                self._entries = list(found["results"])
                if not all({"what", "value"} <= set(entry) for entry in self._entries):
                    raise ValueError("a result without what it is of")
                _log.info("'%s': goes on after %d results", self.path, len(self._entries))
            else:
                _log.warning("'%s' is of other inputs or options; it is begun anew", self.path)
        except (ValueError, KeyError, TypeError) as error:
            raise FileFormatError(
                f"it is no journal of a search: {error!r}.",
                file=self.path,
                remedy="Delete it, or choose another folder.",
            ) from error

    def remember(self, what: str, compute: Callable[[], Any]) -> Any:
        """Return the result called ``what``; compute and write it if it is not there.

        Args:
            what: names it.
            compute: gives something that JSON holds.
        """
        for entry in self._entries:
            if entry["what"] == what:
                return entry["value"]
        start = time.monotonic()
        value = compute()
        seconds = round(time.monotonic() - start, 2)
        self._entries.append({"what": what, "value": value, "seconds": seconds})
        content = {"key": self.key, "results": self._entries}
        write_atomically(self.path, json.dumps(content, indent=1) + "\n")
        return value
