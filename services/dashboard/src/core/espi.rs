//! Green Button: a customer's own intervals as an ESPI feed (NAESB REQ.21, the Energy Services Provider Interface, an Atom
//! feed of linked resources). Codes are those of the schema `espi.xsd`: `UomType`, `MeasurementKind`, `CommodityKind`,
//! `QualityOfReading`, `UnitMultiplierKind`.

use chrono::{DateTime, Datelike, Duration, NaiveDate, Offset, SecondsFormat, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use quick_xml::Writer;
use std::io;
use uuid::Uuid;

/// An interval that was delivered or estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// Begin; seconds since 1970-01-01.
    pub start: i64,
    /// Length in seconds.
    pub duration_s: i64,
    /// Millionths of the unit.
    pub micros: i64,
    /// What validation says of it.
    pub quality: Quality,
}

/// What validation says of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quality {
    /// Passed.
    Valid,
    /// Failed a rule.
    Suspect,
    /// Made up from others.
    Estimated,
}

impl Quality {
    /// Of a verdict's name.
    pub fn of(verdict: &str) -> Self {
        match verdict {
            "VALID" => Self::Valid,
            "ESTIMATED" => Self::Estimated,
            _ => Self::Suspect,
        }
    }

    /// `QualityOfReading`: 17 validated, 10 questionable, 8 estimated using a reference day.
    const fn code(self) -> u8 {
        match self {
            Self::Valid => 17,
            Self::Suspect => 10,
            Self::Estimated => 8,
        }
    }
}

/// How a channel is described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadingType {
    /// `CommodityKind`: 1 electricity, 7 natural gas, 9 water.
    commodity: u8,
    /// `MeasurementKind`: 12 energy, 58 volume.
    kind: u8,
    /// `UomType`: 72 Wh, 42 m³, 134 litre.
    uom: u8,
    /// Power of ten that values, which are millionths, are to be multiplied with.
    power_of_ten: i8,
}

impl ReadingType {
    /// The description of a channel; `None` when the standard has no word for it.
    pub fn of(commodity: &str, unit: &str) -> Option<Self> {
        let (kind, uom, power_of_ten) = match unit {
            // The standard counts in Wh: a millionth of a kWh is a thousandth of a Wh.
            "kWh" => (12, 72, -3),
            "Wh" => (12, 72, -6),
            "m3" => (58, 42, -6),
            "L" => (58, 134, -6),
            _ => return None,
        };
        let commodity = match commodity {
            "ELECTRICITY" => 1,
            "GAS" => 7,
            "WATER" => 9,
            _ => return None,
        };
        Some(Self { commodity, kind, uom, power_of_ten })
    }
}

/// What a feed is about.
#[derive(Debug, Clone)]
pub struct Feed<'a> {
    /// Device, the usage point.
    pub device: &'a str,
    /// Channel, the meter reading.
    pub channel: &'a str,
    /// Zone of the site.
    pub zone: Tz,
    /// Description of the channel.
    pub reading_type: ReadingType,
    /// Nominal length of intervals, in seconds.
    pub interval_s: i64,
    /// When the feed is made.
    pub updated: DateTime<Utc>,
    /// Intervals, ascending; a block is made of each local day.
    pub intervals: &'a [Interval],
}

const ATOM: &str = "http://www.w3.org/2005/Atom";
const ESPI: &str = "http://naesb.org/espi";

type Xml<'w> = &'w mut Writer<Vec<u8>>;

impl Feed<'_> {
    /// The feed as XML. Identifiers of entries are made of names, so the same data makes the same feed.
    ///
    /// # Errors
    /// Never in practice: it writes to memory.
    pub fn to_xml(&self) -> io::Result<Vec<u8>> {
        let mut writer = Writer::new_with_indent(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_vec(), b' ', 1);
        writer.create_element("feed").with_attribute(("xmlns", ATOM)).write_inner_content(|xml| self.feed(xml))?;
        Ok(writer.into_inner())
    }

    fn feed(&self, xml: Xml<'_>) -> io::Result<()> {
        text(xml, "id", &urn(&format!("feed/{}/{}", self.device, self.channel)))?;
        text(xml, "title", "Green Button usage feed")?;
        text(xml, "updated", &instant(self.updated))?;
        let (point, reading) = (format!("UsagePoint/{}", self.device), format!("MeterReading/{}", self.channel));
        let times = format!("LocalTimeParameters/{}", self.zone.name());
        let readings = format!("{point}/{reading}");
        self.entry(xml, &point, &[&readings, &times], |xml| {
            resource(xml, "UsagePoint", |xml| {
                xml.create_element("ServiceCategory").write_inner_content(|xml| {
                    // ServiceKind: 0 electricity, 1 gas, 2 water.
                    let kind = match self.reading_type.commodity {
                        7 => "1",
                        9 => "2",
                        _ => "0",
                    };
                    text(xml, "kind", kind)
                })?;
                Ok(())
            })
        })?;
        self.entry(xml, &times, &[], |xml| self.local_time(xml))?;
        let (types, blocks) = (format!("{readings}/ReadingType"), format!("{readings}/IntervalBlock"));
        self.entry(xml, &readings, &[&types, &blocks], |xml| resource(xml, "MeterReading", |_| Ok(())))?;
        self.entry(xml, &types, &[], |xml| self.reading_type(xml))?;
        for day in self.intervals.chunk_by(|a, b| self.local_day(a.start) == self.local_day(b.start)) {
            let path = format!("{blocks}/{}", self.local_day(day[0].start));
            self.entry(xml, &path, &[], |xml| block(xml, day))?;
        }
        Ok(())
    }

    fn local_day(&self, start: i64) -> NaiveDate {
        local(self.zone, start).0
    }

    fn entry(
        &self,
        xml: Xml<'_>,
        path: &str,
        related: &[&str],
        content: impl FnOnce(Xml<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        xml.create_element("entry").write_inner_content(|xml| {
            text(xml, "id", &urn(path))?;
            let parent = path.rsplit_once('/').map_or(path, |(parent, _)| parent);
            for (rel, href) in
                [("self", path), ("up", parent)].into_iter().chain(related.iter().map(|to| ("related", *to)))
            {
                xml.create_element("link").with_attributes([("rel", rel), ("href", href)]).write_empty()?;
            }
            text(xml, "title", path)?;
            xml.create_element("content").write_inner_content(content)?;
            text(xml, "published", &instant(self.updated))?;
            text(xml, "updated", &instant(self.updated))
        })?;
        Ok(())
    }

    fn reading_type(&self, xml: Xml<'_>) -> io::Result<()> {
        let of = self.reading_type;
        resource(xml, "ReadingType", |xml| {
            // 4: each value is a difference, not a state of the dial.
            text(xml, "accumulationBehaviour", "4")?;
            text(xml, "commodity", &of.commodity.to_string())?;
            // 1: from the network to the customer.
            text(xml, "flowDirection", "1")?;
            text(xml, "intervalLength", &self.interval_s.to_string())?;
            text(xml, "kind", &of.kind.to_string())?;
            text(xml, "powerOfTenMultiplier", &of.power_of_ten.to_string())?;
            text(xml, "uom", &of.uom.to_string())
        })
    }

    fn local_time(&self, xml: Xml<'_>) -> io::Result<()> {
        let year = self.intervals.first().map_or(self.updated.year(), |first| self.local_day(first.start).year());
        let rules = dst_rules(self.zone, year);
        resource(xml, "LocalTimeParameters", |xml| {
            text(xml, "dstEndRule", &format!("{:08X}", rules.end))?;
            text(xml, "dstOffset", &rules.offset_s.to_string())?;
            text(xml, "dstStartRule", &format!("{:08X}", rules.start))?;
            text(xml, "tzOffset", &rules.standard_s.to_string())
        })
    }
}

fn block(xml: Xml<'_>, day: &[Interval]) -> io::Result<()> {
    resource(xml, "IntervalBlock", |xml| {
        let end = day.last().map_or(0, |last| last.start + last.duration_s);
        period(xml, "interval", day[0].start, end - day[0].start)?;
        for interval in day {
            xml.create_element("IntervalReading").write_inner_content(|xml| {
                xml.create_element("ReadingQuality")
                    .write_inner_content(|xml| text(xml, "quality", &interval.quality.code().to_string()))?;
                period(xml, "timePeriod", interval.start, interval.duration_s)?;
                text(xml, "value", &interval.micros.to_string())
            })?;
        }
        Ok(())
    })
}

fn resource(xml: Xml<'_>, name: &str, inner: impl FnOnce(Xml<'_>) -> io::Result<()>) -> io::Result<()> {
    xml.create_element(name).with_attribute(("xmlns", ESPI)).write_inner_content(inner)?;
    Ok(())
}

fn period(xml: Xml<'_>, name: &str, start: i64, duration: i64) -> io::Result<()> {
    xml.create_element(name).write_inner_content(|xml| {
        text(xml, "duration", &duration.to_string())?;
        text(xml, "start", &start.to_string())
    })?;
    Ok(())
}

fn text(xml: Xml<'_>, name: &str, value: &str) -> io::Result<()> {
    xml.create_element(name).write_text_content(quick_xml::events::BytesText::new(value))?;
    Ok(())
}

fn urn(path: &str) -> String {
    let hash = <sha2::Sha256 as sha2::Digest>::digest(path.as_bytes());
    let bytes: [u8; 16] = std::array::from_fn(|at| hash[at]);
    format!("urn:uuid:{}", uuid::Builder::from_custom_bytes(bytes).into_uuid() as Uuid)
}

fn instant(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Local day and offset from UTC, in seconds, of an instant.
fn local(zone: Tz, seconds: i64) -> (NaiveDate, i64) {
    let time = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
    let local = zone.from_utc_datetime(&time.naive_utc());
    (local.date_naive(), i64::from(local.offset().fix().local_minus_utc()))
}

/// When summer time begins and ends, by the bits of `DstRuleType`: month 4, operator 3, day 5, weekday 3, hour 5, seconds 12.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct DstRules {
    start: u32,
    end: u32,
    offset_s: i64,
    standard_s: i64,
}

/// The rules of a year, found by walking over its hours: a zone without summer time has rules of 0.
fn dst_rules(zone: Tz, year: i32) -> DstRules {
    let first = NaiveDate::from_ymd_opt(year, 1, 1).unwrap_or_default().and_time(chrono::NaiveTime::MIN).and_utc();
    let offsets: Vec<_> = (0..=366 * 24)
        .map(|hour| {
            let at = first + Duration::hours(hour);
            (at, local(zone, at.timestamp()).1)
        })
        .collect();
    let standard_s = offsets.iter().map(|(_, offset)| *offset).min().unwrap_or_default();
    let summer_s = offsets.iter().map(|(_, offset)| *offset).max().unwrap_or_default();
    let mut rules = DstRules { standard_s, offset_s: summer_s - standard_s, ..DstRules::default() };
    for pair in offsets.windows(2) {
        let ((_, before), (at, after)) = (pair[0], pair[1]);
        // The wall clock that shows when the change happens is the one of before.
        let wall = at + Duration::seconds(before);
        if after > before && rules.start == 0 {
            rules.start = rule(wall);
        } else if after < before && rules.end == 0 {
            rules.end = rule(wall);
        }
    }
    rules
}

fn rule(wall: DateTime<Utc>) -> u32 {
    let days = (wall + Duration::days(7)).month();
    // Operator 7: the last such weekday of the month; 2 to 6: the first to the fifth.
    let operator = if days == wall.month() { 2 + (wall.day() - 1) / 7 } else { 7 };
    let weekday = wall.weekday().number_from_monday();
    wall.month() << 28 | operator << 25 | weekday << 17 | wall.hour() << 12 | (wall.minute() * 60 + wall.second())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(intervals: &[Interval]) -> String {
        let feed = Feed {
            device: "northgrid-e-1",
            channel: "1-0:1.29.0",
            zone: chrono_tz::Europe::London,
            reading_type: ReadingType::of("ELECTRICITY", "kWh").unwrap(),
            interval_s: 1800,
            updated: DateTime::from_timestamp(1_774_800_000, 0).unwrap(),
            intervals,
        };
        String::from_utf8(feed.to_xml().unwrap()).unwrap()
    }

    #[test]
    fn a_feed_of_two_local_days() {
        let midnight = 1_774_738_800; // 2026-03-29 00:00 in London, the day of 23 hours, less an hour
        let interval = |at: i64, micros, quality| Interval { start: midnight + at, duration_s: 1800, micros, quality };
        insta::assert_snapshot!(feed(&[
            interval(1800, 250_000, Quality::Valid),
            interval(3600, 125_500, Quality::Suspect),
            interval(5400, -1, Quality::Estimated),
        ]));
    }

    #[test]
    fn units_without_a_word_in_the_standard_are_refused() {
        assert!(ReadingType::of("WATER", "L").is_some() && ReadingType::of("GAS", "m3").is_some());
        assert_eq!(ReadingType::of("ELECTRICITY", "V"), None);
        assert_eq!(ReadingType::of("SENSOR", "kWh"), None);
    }

    #[test]
    fn summer_time_by_the_bits_of_the_standard() {
        // The examples of the standard for the United States: second Sunday of March, first Sunday of November, at 2:00.
        let chicago = dst_rules(chrono_tz::America::Chicago, 2026);
        assert_eq!((chicago.start, chicago.end), (0x360E_2000, 0xB40E_2000));
        assert_eq!((chicago.standard_s, chicago.offset_s), (-21_600, 3_600));
        let utc = dst_rules(chrono_tz::UTC, 2026);
        assert_eq!(utc, DstRules::default());
    }
}
