//! The decisions of the sink: what is taken in, which rows it makes, when files are closed and committed, and what a
//! refused commit means. Nothing in here performs IO, is async or reads a clock.

pub mod alerts;
pub mod budget;
pub mod dead_letters;
mod decision_columns;
pub mod file_policy;
pub mod interner;
pub mod judge;
pub mod landing;
pub mod ordering;
pub mod progress;
mod reading_part;
pub mod readings;
pub mod rejected;
pub mod repeats;
pub mod rows;
pub mod view;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod progress_tests;
#[cfg(test)]
mod readings_tests;
