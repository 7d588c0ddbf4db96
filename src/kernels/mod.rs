//! The numeric kernels and the only unsafe code: instruction sets, elementary functions, loops.
