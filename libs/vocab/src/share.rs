//! Shares of traffic, in whole basis points.

use crate::Invalid;

/// A share of the audience, `0..=10000` basis points; one basis point is 0.01 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BasisPoints(u16);

impl BasisPoints {
    /// Nobody.
    pub const ZERO: Self = Self(0);
    /// Everybody.
    pub const ALL: Self = Self(10_000);

    /// Checks a number of basis points.
    ///
    /// # Errors
    /// Refuses anything outside `0..=10000`.
    pub fn new(basis_points: i64) -> Result<Self, Invalid> {
        match u16::try_from(basis_points) {
            Ok(value) if value <= 10_000 => Ok(Self(value)),
            Ok(_) | Err(_) => Err(Invalid::new(format!(
                "{basis_points} basis points is not a share: expected 0 to 10000"
            ))),
        }
    }

    /// Checks a whole percentage.
    ///
    /// # Errors
    /// Refuses anything outside `0..=100`.
    pub fn from_percent(percent: i64) -> Result<Self, Invalid> {
        if (0..=100).contains(&percent) {
            return Self::new(percent * 100);
        }
        Err(Invalid::new(format!("{percent} is not a percentage: expected 0 to 100")))
    }

    /// The share in basis points.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether a change from `self` to `next` obeys the ramp rule of D7 §3.2: down is always
    /// allowed, up at most doubles, and the first step is at most 10 %.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        next.0 <= self.largest_next().0
    }

    /// The largest share a single step may reach from here (D7 §3.2).
    #[must_use]
    pub const fn largest_next(self) -> Self {
        match self.0 {
            0 => Self(1_000),
            share if share >= 5_000 => Self(10_000),
            share => Self(share * 2),
        }
    }
}

impl std::fmt::Display for BasisPoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, rest) = (self.0 / 100, self.0 % 100);
        if rest == 0 { write!(f, "{whole}%") } else { write!(f, "{whole}.{rest:02}%") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_at_most_doubles_and_the_first_is_at_most_ten_percent() {
        let share = |percent| BasisPoints::from_percent(percent).unwrap();
        assert!(share(0).may_become(share(10)));
        assert!(!share(0).may_become(share(11)));
        assert!(share(10).may_become(share(20)));
        assert!(!share(10).may_become(share(21)));
        assert!(share(60).may_become(share(100)));
        assert!(share(100).may_become(share(0)));
    }

    #[test]
    fn a_share_outside_its_range_cannot_be_built() {
        assert!(BasisPoints::new(-1).is_err());
        assert!(BasisPoints::new(10_001).is_err());
        assert!(BasisPoints::from_percent(101).is_err());
        assert_eq!(BasisPoints::new(1_250).unwrap().to_string(), "12.50%");
    }
}
