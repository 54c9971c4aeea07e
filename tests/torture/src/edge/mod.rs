//! The attack itself: processes, proxies, samples and files.

pub mod args;
mod board;
mod component_lane;
mod door;
mod install;
mod load;
mod outage;
mod record;
mod replica_lane;
mod report;
pub mod run;
mod stack;
mod verdict;
mod ways;
