//! The tool as its users meet it: the program itself is run, and what it prints and how it ends is
//! looked at.

#[path = "../format_support/container.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests of the formats need more of it")]
mod container;
mod convert;
mod evaluate;
mod faults;
mod inspect;
mod keras;
mod place;
mod predict;
mod safetensors;
mod savedmodel;
mod verify;
