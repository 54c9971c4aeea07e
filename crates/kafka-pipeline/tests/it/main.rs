//! Against the brokers and the registry of the local stack, and against librdkafka's mock cluster where that is enough.

mod consumer;
mod groups;
mod producer;
mod registry;
mod support;
mod topics;
