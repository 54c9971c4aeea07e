//! What a reading is and what became of it.

/// A name that its closed list does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a known name")]
pub struct UnknownName(pub String);

macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// Every value, in the order of the Avro enum of the same name; `value as i64` is the enum's index.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name as contracts and tables write it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownName;
            fn from_str(text: &str) -> Result<Self, UnknownName> {
                Self::ALL.iter().copied().find(|v| v.as_str() == text).ok_or_else(|| UnknownName(text.chars().take(40).collect()))
            }
        }
    };
}

names! {
    /// What sort of value a reading is; part of its natural key.
    Kind {
        /// A quantity over [start, start + duration).
        Interval = "INTERVAL",
        /// A dial read at an instant.
        Register = "REGISTER",
        /// An instantaneous measurement.
        Gauge = "GAUGE",
    }
}

names! {
    /// Outcome of validation of an accepted reading.
    Verdict {
        /// No rule failed.
        Valid = "VALID",
        /// Accepted, but some rule failed.
        Suspect = "SUSPECT",
        /// Made by an estimation method.
        Estimated = "ESTIMATED",
    }
}

names! {
    /// What a device measures.
    Commodity {
        /// Not known to this version.
        Unknown = "UNKNOWN",
        /// Electric energy and its qualities.
        Electricity = "ELECTRICITY",
        /// Gas volume or energy.
        Gas = "GAS",
        /// Water volume.
        Water = "WATER",
        /// Heat energy.
        Heat = "HEAT",
        /// Any other sensor.
        Sensor = "SENSOR",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for verdict in Verdict::ALL {
            assert_eq!(verdict.as_str().parse::<Verdict>(), Ok(*verdict));
        }
        assert_eq!("valid".parse::<Verdict>(), Err(UnknownName("valid".into())));
    }
}
