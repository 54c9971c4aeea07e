//! Finds the files that a warehouse refuses when it only says that it refuses a set of them.
//!
//! Redshift's columnar `COPY` has no tolerance: one bad file fails all. Halving a refused set finds `k` bad files among `n`
//! in about `k · log2(n)` more attempts.

use std::collections::VecDeque;

/// The search: take a set with [`Bisection::next_set`], try it, report with [`Bisection::accept`] or [`Bisection::refuse`].
#[derive(Debug)]
pub struct Bisection<T> {
    untried: VecDeque<Vec<T>>,
    trying: Option<Vec<T>>,
    good: Vec<T>,
    bad: Vec<(T, String)>,
}

impl<T: Clone> Bisection<T> {
    /// Starts with a set that was refused as a whole.
    pub fn of_refused(files: Vec<T>, reason: &str) -> Self {
        let mut search = Self { untried: VecDeque::new(), trying: Some(files), good: Vec::new(), bad: Vec::new() };
        search.refuse(reason);
        search
    }

    /// The next set to try; `None` when every file is judged.
    pub fn next_set(&mut self) -> Option<&[T]> {
        self.trying = self.untried.pop_front();
        self.trying.as_deref()
    }

    /// The set in hand was accepted.
    pub fn accept(&mut self) {
        self.good.extend(self.trying.take().unwrap_or_default());
    }

    /// The set in hand was refused: a single file is bad, a larger set is halved.
    pub fn refuse(&mut self, reason: &str) {
        let Some(mut set) = self.trying.take() else { return };
        match set.len() {
            0 => {}
            1 => self.bad.extend(set.pop().map(|file| (file, reason.to_owned()))),
            many => {
                let right = set.split_off(many / 2);
                self.untried.extend([set, right]);
            }
        }
    }

    /// Accepted files, and refused ones with the reason that the warehouse gave for them alone.
    pub fn finish(self) -> (Vec<T>, Vec<(T, String)>) {
        (self.good, self.bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn search(files: Vec<usize>, is_bad: impl Fn(usize) -> bool) -> (Vec<usize>, Vec<usize>, usize) {
        let mut attempts = 0;
        let mut search = Bisection::of_refused(files, "all");
        while let Some(set) = search.next_set() {
            attempts += 1;
            if set.iter().any(|file| is_bad(*file)) { search.refuse("bad") } else { search.accept() }
        }
        let (mut good, bad) = search.finish();
        let mut bad: Vec<_> = bad.into_iter().map(|(file, _)| file).collect();
        good.sort_unstable();
        bad.sort_unstable();
        (good, bad, attempts)
    }

    #[test]
    fn one_bad_file_among_1024_costs_twenty_attempts() {
        let (good, bad, attempts) = search((0..1024).collect(), |file| file == 700);
        assert_eq!((good.len(), bad, attempts), (1023, vec![700], 20));
    }

    #[test]
    fn a_single_refused_file_needs_no_attempt() {
        assert_eq!(search(vec![5], |_| true), (vec![], vec![5], 0));
    }

    proptest! {
        #[test]
        fn exactly_the_bad_files_are_found(bad in proptest::collection::vec(any::<bool>(), 1..60)) {
            prop_assume!(bad.contains(&true));
            let (good, refused, _) = search((0..bad.len()).collect(), |file| bad[file]);
            prop_assert_eq!(good, (0..bad.len()).filter(|file| !bad[*file]).collect::<Vec<_>>());
            prop_assert_eq!(refused, (0..bad.len()).filter(|file| bad[*file]).collect::<Vec<_>>());
        }
    }
}
