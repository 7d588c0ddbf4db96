//! HDF5: what h5py writes is read as h5py reads it, what keepnet writes is read by h5py and h5dump, and
//! what is read is written as the same, and another reader finds the same in all of it. `tests/hdf5_hostile.rs` has what is refused.

mod golden;
mod libhdf5;
mod roundtrip;
mod second_opinion;
mod told;
mod trees;
