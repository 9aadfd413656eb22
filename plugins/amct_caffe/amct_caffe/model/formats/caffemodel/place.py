"""Names a blob of a weights file in messages."""

from __future__ import annotations

import attrs

from amct_core.errors import FileFormatError


@attrs.frozen
class BlobPlace:
    """Which blob of which file is read, for messages."""

    file: str
    layer: str
    index: int

    def error(self, problem: str) -> FileFormatError:
        """Return the error that says so."""
        return FileFormatError(
            problem,
            file=self.file,
            layer=self.layer,
            field=f"blobs[{self.index}]",
            remedy="The file is damaged, or whatever wrote it is. Save it again.",
        )
