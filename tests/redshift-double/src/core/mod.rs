//! What the double decides. Nothing in here performs IO or reads a clock.

pub mod copy;
pub mod error;
pub mod faults;
pub mod lexer;
pub mod manifest;
pub mod rows;
pub mod statement;
pub mod translate;
