//! What people look at: tables, pictures in the terminal and as PNG. Everything here takes plain
//! data and gives text or bytes; writing them anywhere is the caller's.

#![allow(
    clippy::disallowed_methods,
    reason = "`min` and `max` place lines in pictures; no result of a network depends on them"
)]

mod axis;
mod canvas;
mod classified;
mod confusion;
mod curves;
mod gallery;
pub mod numbers;
mod summary;
mod table;
mod terminal;

pub use classified::ClassifiedImage;
pub use confusion::{ClassFigures, ConfusionMatrix, CountsError};
pub use curves::training_curves;
pub use gallery::{Gallery, gallery};
pub use summary::{Summary, SummaryRow, summary};
pub use table::{Align, Charset, Table, plain, steers};
pub use terminal::{Ink, show_images};
