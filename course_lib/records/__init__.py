"""Recorded numbers: the only place that figures in prose, tables and plots come from.

A record is one JSON file for one experiment of one unit on one data set in one profile:
`results/<unit>/<experiment>.<dataset>.<profile>.json`. It holds the figures of every seed, the environment and a hash
of the experiment's code. A key such as "scratch@5" is one point, x = 5, of the curve "scratch".

- reading.py: records, their figures and curves, comparisons seed by seed
- table.py: the course's table of results
- notation.py: how a number is written, such as "71 ± 2 %"

These modules only read. `course_lib.authoring.recording` runs experiments and writes records; a student's copy is
without it.
"""

from course_lib.records.notation import num, pct, pm
from course_lib.records.reading import (
    MAIN_EXPERIMENT,
    PROTOCOL,
    Curve,
    Figure,
    Record,
    RecordError,
    Value,
    all_records,
    curve,
    curves,
    difference,
    figure,
    figures,
    holds,
    main_dataset,
    read,
    read_file,
    record_command,
    record_files,
    record_path,
    recorded_on,
    results_folder,
)
from course_lib.records.table import COLUMNS, TableRow, listed_methods, results_table, table_path, table_rows

__all__ = [
    "COLUMNS",
    "MAIN_EXPERIMENT",
    "PROTOCOL",
    "Curve",
    "Figure",
    "Record",
    "RecordError",
    "TableRow",
    "Value",
    "all_records",
    "curve",
    "curves",
    "difference",
    "figure",
    "figures",
    "holds",
    "listed_methods",
    "main_dataset",
    "num",
    "pct",
    "pm",
    "read",
    "read_file",
    "record_command",
    "record_files",
    "record_path",
    "recorded_on",
    "results_folder",
    "results_table",
    "table_path",
    "table_rows",
]
