//! The network that runs: parameters, plan, forward, backward.

#[cfg(test)]
mod reference;
