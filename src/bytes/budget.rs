//! How much memory a decoder may take.

/// The bytes a decoder may still allocate. Every decoder gets one when it is made, and reserves
/// before it allocates, so that a small file cannot ask for much memory.
#[derive(Debug)]
pub struct Budget {
    total: u64,
    left: u64,
}

/// A claim beyond the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} takes {needed} bytes of memory, but {left} are left of the {total} allowed")]
pub struct BudgetError {
    pub what: &'static str,
    pub needed: u64,
    pub left: u64,
    pub total: u64,
}

impl Budget {
    pub fn new(bytes: u64) -> Self {
        Self { total: bytes, left: bytes }
    }

    /// Takes `bytes` off the budget for `what`.
    pub fn reserve(&mut self, bytes: u64, what: &'static str) -> Result<(), BudgetError> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(BudgetError { what, needed: bytes, left: self.left, total: self.total }),
        }
    }

    /// Reserves for `length` bytes and gives an empty vector with room for exactly those.
    pub fn vec(&mut self, length: u64, what: &'static str) -> Result<Vec<u8>, BudgetError> {
        let refused = BudgetError { what, needed: length, left: self.left, total: self.total };
        self.reserve(length, what)?;
        let mut bytes = Vec::new();
        let length = usize::try_from(length).map_err(|_| refused)?;
        bytes.try_reserve_exact(length).map_err(|_| refused)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_add_up() {
        let mut budget = Budget::new(10);
        budget.reserve(4, "one").unwrap();
        assert_eq!(budget.vec(6, "two").unwrap().capacity(), 6);
        let error = budget.reserve(1, "three").unwrap_err();
        assert_eq!(error, BudgetError { what: "three", needed: 1, left: 0, total: 10 });
        assert!(Budget::new(10).reserve(u64::MAX, "all").is_err());
    }
}
