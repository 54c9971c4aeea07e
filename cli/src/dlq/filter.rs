//! Which letters are asked for. Pure.

use super::letter::Letter;
use super::show::Coordinates;
use chrono::{DateTime, Utc};

/// Which letters are asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// Codes; all when empty.
    pub reasons: Vec<String>,
    /// Device, as key or in the content.
    pub device: Option<String>,
    /// Tenant, in the content.
    pub tenant: Option<String>,
    /// Stage that set it aside.
    pub stage: Option<String>,
    /// Single letters; all when empty.
    pub letters: Vec<Coordinates>,
    /// Set aside at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Set aside before this time.
    pub until: Option<DateTime<Utc>>,
}

/// What the bytes themselves say of their sender.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Sender {
    /// Tenant.
    pub tenant_id: Option<String>,
    /// Device.
    pub device_id: Option<String>,
}

impl Filter {
    /// Whether everything is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        let Self { reasons, device, tenant, stage, letters, since, until } = self;
        let sender = device.is_none() && tenant.is_none() && stage.is_none();
        sender && reasons.is_empty() && letters.is_empty() && since.is_none() && until.is_none()
    }

    /// Whether a partition can hold letters that are asked for.
    pub(crate) fn concerns(&self, partition: i32) -> bool {
        self.letters.is_empty() || self.letters.iter().any(|letter| letter.partition == partition)
    }

    /// Whether place, code, stage and time are those asked for; what costs more to know is asked after this.
    pub(crate) fn admits(&self, letter: &Letter) -> bool {
        let reason = self.reasons.is_empty() || letter.code.as_ref().is_some_and(|code| self.reasons.contains(code));
        let since = self.since.is_none_or(|since| letter.at.is_some_and(|at| at >= since));
        let until = self.until.is_none_or(|until| letter.at.is_some_and(|at| at < until));
        let stage = self.stage.is_none() || self.stage == letter.stage;
        let at = Coordinates { partition: letter.partition, offset: letter.offset };
        let named = self.letters.is_empty() || self.letters.contains(&at);
        reason && since && until && stage && named
    }

    /// Whether the bytes must be decoded to know.
    pub(crate) fn needs_content(&self, letter: &Letter) -> bool {
        self.tenant.is_some() || self.device.as_ref().is_some_and(|device| Some(device) != letter.key.as_ref())
    }

    /// Whether it comes from the sender asked for.
    pub(crate) fn admits_sender(&self, letter: &Letter, sender: &Sender) -> bool {
        let tenant = self.tenant.is_none() || self.tenant == sender.tenant_id;
        let device = self.device.is_none() || self.device == letter.key || self.device == sender.device_id;
        tenant && device
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_pipeline::RecordBlockBuilder;

    fn letter(code: Option<&str>, seconds: i64, offset: i64) -> Letter {
        let mut block = RecordBlockBuilder::new("rejected", 0);
        block.push(offset, 1_000 * seconds, Some(b"dev-1"), Some(b"\x00\x01"), &[]);
        Letter { code: code.map(str::to_owned), ..Letter::of(0, &block.build().get(0)) }
    }

    #[test]
    fn code_and_time_are_asked_first() {
        let filter = Filter {
            reasons: vec!["TRUNCATED".into(), "TOO_SHORT".into()],
            since: DateTime::from_timestamp(100, 0),
            until: DateTime::from_timestamp(200, 0),
            ..Filter::default()
        };
        assert!(filter.admits(&letter(Some("TRUNCATED"), 100, 0)));
        assert!(filter.admits(&letter(Some("TOO_SHORT"), 199, 0)));
        assert!(!filter.admits(&letter(Some("TRUNCATED"), 99, 0)));
        assert!(!filter.admits(&letter(Some("TRUNCATED"), 200, 0)), "until is not included");
        assert!(!filter.admits(&letter(Some("WRONG_MAGIC"), 150, 0)));
        assert!(!filter.admits(&letter(None, 150, 0)));
    }

    #[test]
    fn device_is_the_key_or_stands_in_the_content() {
        let filter = Filter { device: Some("dev-1".into()), ..Filter::default() };
        let by_key = letter(None, 0, 0);
        assert!(!filter.needs_content(&by_key) && filter.admits_sender(&by_key, &Sender::default()));
        let other = Letter { key: Some("gateway".into()), ..by_key };
        let sender = Sender { tenant_id: None, device_id: Some("dev-1".into()) };
        assert!(filter.needs_content(&other) && filter.admits_sender(&other, &sender));
        assert!(!filter.admits_sender(&other, &Sender::default()));
    }

    #[test]
    fn bytes_that_tell_no_tenant_belong_to_none() {
        let filter = Filter { tenant: Some("acme".into()), ..Filter::default() };
        let acme = Sender { tenant_id: Some("acme".into()), device_id: None };
        let any = letter(None, 0, 0);
        assert!(filter.needs_content(&any) && filter.admits_sender(&any, &acme));
        assert!(!filter.admits_sender(&any, &Sender::default()));
    }

    #[test]
    fn place_and_stage_are_asked_too_and_no_filter_is_told_from_one() {
        let one = Filter { letters: vec![Coordinates { partition: 0, offset: 7 }], ..Filter::default() };
        assert!(one.admits(&letter(None, 0, 7)) && !one.admits(&letter(None, 0, 8)));
        assert!(one.concerns(0) && !one.concerns(1));
        let stage = Filter { stage: Some("alert".into()), ..Filter::default() };
        assert!(stage.admits(&Letter { stage: Some("alert".into()), ..letter(None, 0, 0) }));
        assert!(!stage.admits(&letter(None, 0, 0)));
        assert!(Filter::default().is_empty() && Filter::default().concerns(3) && !one.is_empty() && !stage.is_empty());
    }
}
