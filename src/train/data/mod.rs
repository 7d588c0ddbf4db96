//! Data sets of the MNIST kind: the embedded one, folders of IDX files, downloads.
