//! The order of readings within a file: device, channel, start.
//!
//! Rows arrive as blocks of one device that are sorted already, so they are first dealt to their devices in one pass
//! (stable), and only devices whose rows are not in order yet are sorted: a third of the cost of a general sort.

/// What a row is ordered by within its device.
pub trait RowKeys {
    /// Rank of the row's device among the devices of the part.
    fn device_rank(&self, row: u32) -> u32;
    /// Rank of the row's channel and its start.
    fn within_device(&self, row: u32) -> (u32, i64);
}

/// The rows `0..rows` in order of device, channel, start; equal ones keep the order of arrival.
pub fn order_rows(rows: usize, devices: usize, keys: &impl RowKeys) -> Vec<u32> {
    let rows = u32::try_from(rows).expect("a part holds fewer than 2^32 rows");
    let mut ends = vec![0u32; devices + 1];
    for row in 0..rows {
        ends[keys.device_rank(row) as usize + 1] += 1;
    }
    for rank in 0..devices {
        ends[rank + 1] += ends[rank];
    }
    let mut next = ends.clone();
    let mut order = vec![0u32; rows as usize];
    for row in 0..rows {
        let slot = &mut next[keys.device_rank(row) as usize];
        order[*slot as usize] = row;
        *slot += 1;
    }
    for rank in 0..devices {
        let of_device = &mut order[ends[rank] as usize..ends[rank + 1] as usize];
        if !of_device.is_sorted_by_key(|row| keys.within_device(*row)) {
            of_device.sort_by_key(|row| keys.within_device(*row));
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Rows(Vec<(u32, u32, i64)>);

    impl RowKeys for Rows {
        fn device_rank(&self, row: u32) -> u32 {
            self.0[row as usize].0
        }

        fn within_device(&self, row: u32) -> (u32, i64) {
            let (_, channel, start) = self.0[row as usize];
            (channel, start)
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_general_stable_sort(rows in proptest::collection::vec((0..5u32, 0..3u32, 0..9i64), 0..200)) {
            let mut expected: Vec<u32> = (0..rows.len() as u32).collect();
            expected.sort_by_key(|row| rows[*row as usize]);
            prop_assert_eq!(order_rows(rows.len(), 5, &Rows(rows)), expected);
        }
    }
}
