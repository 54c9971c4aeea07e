//! What a consumer tells the service, and the receiving end.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use tokio::sync::mpsc;

use super::ConsumerError;
use super::shared::{Content, Delivery, Notice, Shared};
use crate::record::{NextOffset, RecordBlock, TopicPartition};

/// Something that happened on a consumer.
#[derive(Debug)]
pub enum Event {
    /// Partitions were added to this member (possibly none, when there are more members than partitions). They stay
    /// paused until [`Consumer::start`](super::Consumer::start).
    Assigned(Vec<TopicPartition>),
    /// Partitions leave this member. Flush or abandon their work, then acknowledge; blocks of them that were still
    /// queued are dropped and come again to the next owner.
    Revoked(Vec<TopicPartition>, RevokeAck),
    /// Records of one started partition.
    Records(RecordBlock),
    /// Everything that was in the partition has been handed over; the position is the next offset to come. Sent each
    /// time the end is reached, when [`ConsumerConfig::partition_eof`](super::ConsumerConfig::partition_eof) is set.
    PartitionEof(TopicPartition, NextOffset),
}

/// Acknowledges a revocation. The poll thread waits for it, at most
/// [`revoke_timeout`](super::ConsumerConfig::revoke_timeout); dropping it acknowledges without a commit.
#[derive(Debug)]
#[must_use = "the rebalance of the whole group waits for this"]
pub struct RevokeAck {
    reply: Option<SyncSender<Vec<(TopicPartition, NextOffset)>>>,
}

impl RevokeAck {
    pub(crate) fn waiting(reply: SyncSender<Vec<(TopicPartition, NextOffset)>>) -> Self {
        Self { reply: Some(reply) }
    }

    pub(crate) fn lost() -> Self {
        Self { reply: None }
    }

    /// Whether the partitions were taken away without asking (session or poll interval ran out). Another member may
    /// already own them: abandon the work, nothing is committed.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.reply.is_none()
    }

    /// Gives the partitions up and commits these positions before the next owner gets them. Does nothing for lost
    /// partitions or when the wait has already run out.
    pub fn done(self, positions: impl IntoIterator<Item = (TopicPartition, NextOffset)>) {
        if let Some(reply) = self.reply {
            // A receiver that is gone has stopped waiting: the next owner reads again from the last commit.
            let _ = reply.send(positions.into_iter().collect());
        }
    }
}

/// The receiving end of a consumer.
#[derive(Debug)]
pub struct Events {
    pub(crate) notices: mpsc::UnboundedReceiver<Notice>,
    pub(crate) deliveries: mpsc::Receiver<Delivery>,
    pub(crate) shared: Arc<Shared>,
}

impl Events {
    /// The next event; `None` when the consumer was closed. Assignments and revocations overtake queued records.
    ///
    /// # Errors
    /// The consumer has ended for good and the service must end too: a fatal client error, a position that does not exist
    /// with [`OffsetReset::Error`](super::OffsetReset::Error), missing authorisation. `None` follows.
    ///
    /// # Cancel safety
    /// Safe: an event is either returned or still queued.
    pub async fn recv(&mut self) -> Option<Result<Event, ConsumerError>> {
        loop {
            tokio::select! {
                biased;
                Some(notice) = self.notices.recv() => return Some(match notice {
                    Notice::Event(event) => Ok(event),
                    Notice::Failed(error) => Err(error),
                }),
                Some(delivery) = self.deliveries.recv() => {
                    self.shared.made_room();
                    if let Some(event) = fresh(delivery) {
                        return Some(Ok(event));
                    }
                },
                else => return None,
            }
        }
    }
}

fn fresh(delivery: Delivery) -> Option<Event> {
    if !delivery.slot.is_current(delivery.epoch) {
        return None;
    }
    Some(match delivery.content {
        Content::Records(block) => Event::Records(block),
        Content::End(at, next) => Event::PartitionEof(at, next),
    })
}

#[cfg(test)]
mod tests {
    use super::super::shared::Slot;
    use super::*;
    use crate::record::RecordBlockBuilder;

    fn block(offset: i64) -> Content {
        let mut builder = RecordBlockBuilder::new("t", 0);
        builder.push(offset, 0, None, None, &[]);
        Content::Records(builder.build())
    }

    #[tokio::test]
    async fn queued_blocks_of_an_older_epoch_are_dropped() {
        let (_notice_tx, notices) = mpsc::unbounded_channel();
        let (tx, deliveries) = mpsc::channel(4);
        let mut events = Events { notices, deliveries, shared: Shared::new() };
        let slot = Slot::new();
        let old = slot.renew();
        tx.send(Delivery { slot: Arc::clone(&slot), epoch: old, content: block(100) }).await.unwrap();
        let new = slot.renew();
        tx.send(Delivery { slot, epoch: new, content: block(3) }).await.unwrap();
        let Some(Ok(Event::Records(block))) = events.recv().await else { panic!("a block was queued") };
        assert_eq!(block.first_offset(), 3);
    }

    #[tokio::test]
    async fn notices_overtake_records_and_the_end_is_none() {
        let (notice_tx, notices) = mpsc::unbounded_channel();
        let (tx, deliveries) = mpsc::channel(4);
        let mut events = Events { notices, deliveries, shared: Shared::new() };
        let slot = Slot::new();
        let epoch = slot.renew();
        tx.send(Delivery { slot, epoch, content: block(1) }).await.unwrap();
        notice_tx.send(Notice::Failed(ConsumerError::Closed)).unwrap();
        drop((tx, notice_tx));
        assert!(matches!(events.recv().await, Some(Err(ConsumerError::Closed))));
        assert!(matches!(events.recv().await, Some(Ok(Event::Records(_)))));
        assert!(events.recv().await.is_none());
    }

    #[test]
    fn lost_partitions_commit_nothing() {
        let ack = RevokeAck::lost();
        assert!(ack.is_lost());
        ack.done([(TopicPartition::new("t", 0), NextOffset(1))]);
        let (tx, rx) = std::sync::mpsc::sync_channel(1);
        drop(RevokeAck::waiting(tx));
        assert!(rx.recv().is_err(), "dropping the acknowledgement ends the wait");
    }
}
