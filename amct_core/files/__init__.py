"""Reading whole files, and writing them so that nobody sees half of one, nor half of a set."""

from amct_core.files.file_set import FileSet, write_atomically
from amct_core.files.folders import temporary_folder
from amct_core.files.problems import writing
from amct_core.files.reading import map_file, read_text, read_text_and_digest

__all__ = [
    "FileSet",
    "map_file",
    "read_text",
    "read_text_and_digest",
    "temporary_folder",
    "write_atomically",
    "writing",
]
