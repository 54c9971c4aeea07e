//! One memory budget for all routes.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Memory that gathered rows may take, over all routes.
#[derive(Debug)]
pub struct Budget {
    limit_bytes: usize,
    routes: usize,
    used_bytes: AtomicUsize,
}

impl Budget {
    /// A budget that `routes` routes share.
    pub fn new(limit_bytes: usize, routes: usize) -> Self {
        Self { limit_bytes, routes: routes.max(1), used_bytes: AtomicUsize::new(0) }
    }

    /// Replaces what a route reported before by what it holds now.
    pub fn report(&self, before: usize, now: usize) {
        if now >= before {
            self.used_bytes.fetch_add(now - before, Ordering::Relaxed);
        } else {
            self.used_bytes.fetch_sub(before - now, Ordering::Relaxed);
        }
    }

    /// Its size.
    pub fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }

    /// Memory in use.
    pub fn used_bytes(&self) -> usize {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// Whether a route that holds `own_bytes` has to write something out.
    ///
    /// Only a route with at least its fair share: otherwise one that is busy would make the others write tiny files. When
    /// the limit is passed, at least one route has that much.
    pub fn must_close(&self, own_bytes: usize) -> bool {
        self.used_bytes() > self.limit_bytes && own_bytes >= self.limit_bytes / self.routes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn somebody_must_close_when_the_limit_is_passed(
            held in proptest::collection::vec(0..1000usize, 1..6),
            limit in 1..2000usize,
        ) {
            let budget = Budget::new(limit, held.len());
            held.iter().for_each(|bytes| budget.report(0, *bytes));
            let total: usize = held.iter().sum();
            prop_assert_eq!(budget.used_bytes(), total);
            let closing = held.iter().filter(|bytes| budget.must_close(**bytes)).count();
            prop_assert_eq!(closing > 0, total > limit);
        }
    }

    #[test]
    fn a_route_with_little_is_left_alone() {
        let budget = Budget::new(100, 2);
        budget.report(0, 10);
        budget.report(0, 95);
        assert!(budget.must_close(95) && !budget.must_close(10));
        budget.report(95, 0);
        assert!(!budget.must_close(10));
    }
}
