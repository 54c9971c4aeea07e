//! The live status in DynamoDB: one item per device, which holds the newest value of each channel.

use super::shared::{Shared, now};
use crate::canary::core::known::{CHANNEL, Id};
use crate::canary::core::ledger::Stage;
use anyhow::Context;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::DisplayErrorContext;
use aws_sdk_dynamodb::types::AttributeValue;
use meter_model::Quantity;
use std::collections::HashMap;

/// Looks once at every device.
///
/// # Errors
/// When the table does not answer.
pub(crate) async fn look(shared: &Shared, client: &Client, table: &str) -> anyhow::Result<()> {
    for (number, device) in shared.devices.iter().enumerate() {
        let began = now();
        let key = AttributeValue::S(format!("{}#{device}", shared.tenant));
        let get = client.get_item().table_name(table).key("pk", key).consistent_read(true).send().await;
        let item = get.map_err(|error| anyhow::anyhow!("{}", DisplayErrorContext(&error)));
        let item = item.with_context(|| format!("read table {table}"))?.item;
        if let Some((start, value)) = item.as_ref().and_then(newest) {
            shared.saw_up_to(Stage::Live, Id { start, device: number }, value);
        }
        shared.looked(Stage::Live, Some(number), began);
    }
    Ok(())
}

/// Start and value, in millionths, of the canary's channel; a value that is none counts as a wrong one.
fn newest(item: &HashMap<String, AttributeValue>) -> Option<(i64, i64)> {
    let channel = item.get(&format!("ch:{CHANNEL}"))?.as_m().ok()?;
    let number = |name: &str| channel.get(name)?.as_n().ok();
    let value = number("value").and_then(|text| text.parse::<Quantity>().ok()).map_or(-1, Quantity::micros);
    Some((number("start")?.parse().ok()?, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_value_is_found_among_the_channels() {
        let number = |text: &str| AttributeValue::N(text.to_owned());
        let channel = HashMap::from([("start".to_owned(), number("7")), ("value".to_owned(), number("0.5"))]);
        let item = HashMap::from([(format!("ch:{CHANNEL}"), AttributeValue::M(channel))]);
        assert_eq!(newest(&item), Some((7, 500_000)));
        assert_eq!(newest(&HashMap::new()), None);
    }
}
