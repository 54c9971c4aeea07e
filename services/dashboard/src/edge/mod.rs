//! Thin IO.

pub mod api;
pub mod audit;
pub mod auth;
pub mod database;
pub mod http;
pub mod live;
pub mod openapi;
pub mod problem;
pub mod register;
pub mod routes;
pub mod store;
pub mod stream;
pub mod warehouse;
pub mod watch;
pub mod web;
