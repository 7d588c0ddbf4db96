//! Which instruction set the kernels run on.

use std::fmt;
use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
use super::{avx2::Avx2, avx512::Avx512};
use super::{portable::Portable, simd::Simd};

/// An instruction set that this machine has. The tokens inside can be made only where it does.
#[derive(Clone, Copy)]
pub(crate) enum Isa {
    Portable(Portable),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

/// A loop nest to be compiled once per instruction set. Implementations are `#[inline(always)]`,
/// and so is all that they call with vectors: only then does the compiler see the instruction set.
pub(crate) trait Kernel {
    type Output;
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

impl Isa {
    /// The instruction set in use: the best of this machine, or the one that the environment
    /// variable `KEEPNET_ISA` (`portable`, `avx2`, `avx512`) asks for, if the machine has it.
    pub(crate) fn current() -> Self {
        static CURRENT: OnceLock<Isa> = OnceLock::new();
        *CURRENT.get_or_init(|| Self::wished(std::env::var("KEEPNET_ISA").ok().as_deref()))
    }

    /// The one named `wish` if the machine has it, else the best.
    fn wished(wish: Option<&str>) -> Self {
        let available = Self::available();
        let wished = available.iter().find(|isa| wish == Some(isa.name()));
        *wished.or_else(|| available.last()).expect("Portable is always there")
    }

    /// All that this machine has, the best last.
    pub(crate) fn available() -> Vec<Self> {
        let mut available = vec![Self::Portable(Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            available.extend(Avx2::new().map(Self::Avx2));
            available.extend(Avx512::new().map(Self::Avx512));
        }
        available
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Portable(_) => "portable",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
        }
    }

    /// Runs `kernel` compiled for this instruction set.
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            Self::Portable(simd) => kernel.run(simd),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => simd.enter(kernel),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => simd.enter(kernel),
        }
    }
}

impl fmt::Debug for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_granted_where_the_machine_can() {
        let best = Isa::available().last().expect("Portable is always there").name();
        for isa in Isa::available() {
            assert_eq!(Isa::wished(Some(isa.name())).name(), isa.name());
        }
        for wish in [None, Some(""), Some("AVX2"), Some("avx1024")] {
            assert_eq!(Isa::wished(wish).name(), best);
        }
    }

    /// Makes a run of all tests under `KEEPNET_ISA` fail where it would test another.
    #[test]
    fn the_wish_of_the_environment_is_granted() {
        if let Ok(wish) = std::env::var("KEEPNET_ISA") {
            assert_eq!(Isa::current().name(), wish);
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn what_the_machine_has_is_available() {
        let has = |isa: &str| Isa::available().iter().any(|i| i.name() == isa);
        let fma = is_x86_feature_detected!("fma");
        assert!(has("portable"));
        assert_eq!(has("avx2"), is_x86_feature_detected!("avx2") && fma);
        assert_eq!(has("avx512"), is_x86_feature_detected!("avx512f") && fma);
    }
}
