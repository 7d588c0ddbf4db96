//! Codecs: [`Checkpoint`](crate::model::Checkpoint) to bytes and back, for every form a model is kept in.
