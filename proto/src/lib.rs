//! The gRPC contracts of Meterway, generated from the `.proto` files beside this crate.
//!
//! Guarantees: the code and [`FILE_DESCRIPTOR_SET`] come from the same files. Does not do: checks. A field holds whatever
//! the other side sent; the service that receives it validates.

/// The register of tenants, customers, sites, devices, keys and alert settings.
pub mod metadata {
    /// Version 1.
    #[expect(clippy::clone_on_ref_ptr, clippy::too_many_lines, reason = "generated code")]
    pub mod v1 {
        tonic::include_proto!("meterway.metadata.v1");
    }
}

/// Descriptors of every contract, encoded, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
