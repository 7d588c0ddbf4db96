//! Shapes, refusals, names, and hostile settings.

mod graph;
mod hostile;
mod inference;
mod merges;
mod window;
