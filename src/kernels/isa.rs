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

/// The environment variable that chooses the instruction set.
const VARIABLE: &str = "KEEPNET_ISA";

/// The environment variable `KEEPNET_ISA` asks for an instruction set that is not to be had.
///
/// Nothing is computed then: who asks for an instruction set would be misled by the results, or the
/// speed, of another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the environment variable {VARIABLE} asks for `{found}`, but this machine has {available}; set \
     it to one of these, or not at all"
)]
pub struct IsaError {
    pub found: String,
    /// Those that there are, the best last.
    pub available: String,
}

/// The instruction set that this process computes with: the best of this machine, or the one that
/// the environment variable `KEEPNET_ISA` asks for (`portable`, `avx2` or `avx512`). All give the
/// same bits.
///
/// # Errors
/// If the variable asks for what this machine does not have. Whatever computes fails likewise.
pub fn instruction_set() -> Result<&'static str, IsaError> {
    Isa::granted().map(Isa::name)
}

impl Isa {
    /// The one in use.
    ///
    /// # Panics
    /// If [`granted`](Self::granted) would be an error; where samples come in, that is checked.
    pub(crate) fn current() -> Self {
        Self::granted().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The best of this machine, or the one that the environment asks for. Found out once.
    pub(crate) fn granted() -> Result<Self, IsaError> {
        static CURRENT: OnceLock<Result<Isa, IsaError>> = OnceLock::new();
        let wish = || std::env::var_os(VARIABLE).map(|wish| wish.to_string_lossy().into_owned());
        CURRENT.get_or_init(|| Self::wished(wish().as_deref())).clone()
    }

    /// The one named `wish`; the best for none, or an empty one.
    fn wished(wish: Option<&str>) -> Result<Self, IsaError> {
        let available = Self::available();
        let Some(wish) = wish.filter(|wish| !wish.is_empty()) else {
            return Ok(*available.last().expect("Portable is always there"));
        };
        available.iter().find(|isa| isa.name() == wish).copied().ok_or_else(|| IsaError {
            found: wish.to_owned(),
            available: available.iter().map(|isa| isa.name()).collect::<Vec<_>>().join(", "),
        })
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
            let granted = Isa::wished(Some(isa.name())).map(Isa::name);
            assert_eq!(granted.as_deref(), Ok(isa.name()));
        }
        for none in [None, Some("")] {
            assert_eq!(Isa::wished(none).map(Isa::name).as_deref(), Ok(best));
        }
    }

    #[test]
    fn what_is_not_there_is_refused_by_name() {
        let available =
            Isa::available().iter().map(|isa| isa.name()).collect::<Vec<_>>().join(", ");
        for wish in ["AVX2", "avx1024", " portable", "\u{FFFD}"] {
            let refused = Isa::wished(Some(wish)).expect_err("no such instruction set");
            assert_eq!(refused, IsaError { found: wish.to_owned(), available: available.clone() });
            assert!(refused.to_string().contains("KEEPNET_ISA"), "{refused}");
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
