//! What the measuring programs share: the networks and their cost, the instruction set, the roof of
//! the machine, the memory.

mod figures;
mod flops;
pub(crate) mod isa;
mod median;
mod memory;
mod nets;
mod paired;
mod roof;
mod speed;

pub(crate) use figures::{Figure, object, print, round};
pub(crate) use flops::forward_flops;
pub(crate) use median::median;
pub(crate) use memory::peak_rss_mib;
pub(crate) use nets::{NETS, Net};
pub(crate) use paired::share_of_peak;
pub(crate) use roof::Roof;
pub(crate) use speed::{Effort, Speed, speed};
