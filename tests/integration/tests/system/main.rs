//! Whole-system tests on real processes and components.
