//! Loads the measured series that give the fleet its shapes of use.

use crate::exit::BadConfig;
use crate::simulate::core::scenario::Shapes;
use crate::simulate::core::shape::{ELECTRICITY_PROFILE, GAS_PROFILE, Profile, Shape, WATER_PROFILE};
use anyhow::Context;
use std::path::Path;

/// The British utility uses British series, the American one American series. No series of water is at hand: its habits
/// are taken from what rises above the base of electricity.
const ELECTRICITY: [&[&str]; 2] = [
    &[
        "uk-electricity-hdd-only-hourly-sample-0.csv",
        "uk-electricity-hdd-only-hourly-sample-1.csv",
        "uk-electricity-hdd-only-hourly-sample-2.csv",
    ],
    &["il-electricity-cdd-hdd-hourly.csv", "il-electricity-cdd-only-hourly.csv"],
];
const WATER: [&[&str]; 2] = [&["uk-electricity-hdd-only-hourly-sample-0.csv"], &["il-electricity-cdd-hdd-hourly.csv"]];
const GAS: [&[&str]; 2] =
    [&["uk-gas-hdd-only-hourly-sample-0.csv"], &["il-gas-hdd-only-hourly.csv", "il-gas-intercept-only-hourly.csv"]];

/// Reads all series of the folder.
///
/// # Errors
/// When a file is missing or can't be read as a series.
pub(crate) fn load(folder: &Path) -> anyhow::Result<Shapes> {
    Ok(Shapes {
        electricity: of_tenants(folder, ELECTRICITY, &ELECTRICITY_PROFILE)?,
        water: of_tenants(folder, WATER, &WATER_PROFILE)?,
        gas: of_tenants(folder, GAS, &GAS_PROFILE)?,
    })
}

fn of_tenants(folder: &Path, files: [&[&str]; 2], profile: &Profile) -> anyhow::Result<[Vec<Shape>; 2]> {
    let shapes = |names: &[&str]| -> anyhow::Result<Vec<Shape>> {
        names.iter().map(|name| shape(&folder.join(name), profile)).collect()
    };
    let [first, second] = files;
    Ok([shapes(first)?, shapes(second)?])
}

fn shape(path: &Path, profile: &Profile) -> anyhow::Result<Shape> {
    let named = || format!("read series {}; deploy/local/setup.sh fetches them, --series says where", path.display());
    let text = std::fs::read_to_string(path).map_err(BadConfig::new).with_context(named)?;
    Shape::parse(&text, profile).map_err(BadConfig::new).with_context(named)
}
