//! The network that runs: parameters, plan, forward, backward.
