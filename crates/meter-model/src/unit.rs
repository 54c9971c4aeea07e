//! Units a channel may carry and the dimension each belongs to.

/// Physical dimension of a unit. Two units of one dimension differ by a factor; of two dimensions, by a mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// Energy.
    Energy,
    /// Reactive energy.
    ReactiveEnergy,
    /// Power.
    Power,
    /// Volume.
    Volume,
    /// Volume per time.
    VolumeFlow,
    /// Electric potential.
    Voltage,
    /// Electric current.
    Current,
    /// Frequency.
    Frequency,
    /// Temperature.
    Temperature,
    /// Pressure.
    Pressure,
    /// A ratio without dimension.
    Ratio,
}

macro_rules! units {
    ($($(#[$doc:meta])* $variant:ident = $symbol:literal $dimension:ident),+ $(,)?) => {
        /// A unit that readings may carry, by its symbol.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Unit { $($(#[$doc])* $variant),+ }

        impl Unit {
            /// Every known unit.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The unit with this symbol; `None` when it is not known. Symbols are case-sensitive (`mW` is not `MW`).
            pub fn parse(symbol: &str) -> Option<Self> {
                match symbol { $($symbol => Some(Self::$variant),)+ _ => None }
            }

            /// The symbol.
            pub const fn symbol(self) -> &'static str {
                match self { $(Self::$variant => $symbol),+ }
            }

            /// The dimension.
            pub const fn dimension(self) -> Dimension {
                match self { $(Self::$variant => Dimension::$dimension),+ }
            }
        }
    };
}

units! {
    /// Watt-hour.
    WattHour = "Wh" Energy,
    /// Kilowatt-hour.
    KilowattHour = "kWh" Energy,
    /// Megawatt-hour.
    MegawattHour = "MWh" Energy,
    /// Megajoule.
    Megajoule = "MJ" Energy,
    /// Gigajoule.
    Gigajoule = "GJ" Energy,
    /// Kilovolt-ampere reactive hour.
    KilovarHour = "kvarh" ReactiveEnergy,
    /// Watt.
    Watt = "W" Power,
    /// Kilowatt.
    Kilowatt = "kW" Power,
    /// Cubic metre.
    CubicMetre = "m3" Volume,
    /// Litre.
    Litre = "L" Volume,
    /// US gallon.
    Gallon = "gal" Volume,
    /// Cubic foot.
    CubicFoot = "ft3" Volume,
    /// Cubic metre per hour.
    CubicMetrePerHour = "m3/h" VolumeFlow,
    /// Litre per hour.
    LitrePerHour = "L/h" VolumeFlow,
    /// Volt.
    Volt = "V" Voltage,
    /// Ampere.
    Ampere = "A" Current,
    /// Hertz.
    Hertz = "Hz" Frequency,
    /// Degree Celsius.
    Celsius = "degC" Temperature,
    /// Bar.
    Bar = "bar" Pressure,
    /// Kilopascal.
    Kilopascal = "kPa" Pressure,
    /// Percent.
    Percent = "%" Ratio,
    /// A number without unit.
    One = "1" Ratio,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_round_trip_and_are_unique() {
        for unit in Unit::ALL {
            assert_eq!(Unit::parse(unit.symbol()), Some(*unit));
        }
        assert_eq!(Unit::parse("KWH"), None);
    }
}
