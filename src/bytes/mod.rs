//! Bytes in and out: bounded reading, budgets, checksums, atomic files. Knows no tensor and no layer.
