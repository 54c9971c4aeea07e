//! Which partitions are ours: starts a worker for each that comes, and stops it in time when it goes.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use kafka_pipeline::{Event, NextOffset, RevokeAck, TopicPartition};
use service_runtime::fail_point;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::line::{Line, LineError};
use super::partition::PartitionWorker;
use super::queue::{BlockSender, ConsumerValve, queue};

struct Worker {
    blocks: BlockSender,
    stop: CancellationToken,
    task: AbortHandle,
}

type Ended = (TopicPartition, Result<Option<NextOffset>, LineError>);

/// The partitions of this process.
pub(crate) struct Assignment {
    line: Arc<Line>,
    queued_blocks: usize,
    workers: HashMap<TopicPartition, Worker>,
    tasks: JoinSet<Ended>,
}

impl Assignment {
    pub(crate) fn new(line: Arc<Line>, queued_blocks: usize) -> Self {
        Self { line, queued_blocks, workers: HashMap::new(), tasks: JoinSet::new() }
    }

    /// Takes an event of the raw consumer.
    pub(crate) async fn handle(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Assigned(partitions) => {
                tracing::info!(partitions = ?numbers(&partitions), "partitions assigned");
                partitions.into_iter().for_each(|at| self.start(at));
            }
            Event::Revoked(partitions, ack) => {
                tracing::info!(partitions = ?numbers(&partitions), lost = ack.is_lost(), "partitions revoked");
                self.revoke(partitions, ack).await?;
            }
            Event::Records(block) => {
                if let Some(worker) = self.workers.get(block.topic_partition()) {
                    worker.blocks.send(block);
                }
            }
            Event::PartitionEof(..) => {}
        }
        Ok(())
    }

    /// The next worker that ends without having been asked to; never when none runs.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        loop {
            match self.tasks.join_next().await {
                None => std::future::pending().await,
                Some(ended) => match settled(ended) {
                    Err(error) => return error,
                    // A worker of a partition that was lost: nobody waited for it.
                    Ok(None) => {}
                    Ok(Some((at, _))) => return anyhow!("work on {at} ended by itself"),
                },
            }
        }
    }

    /// Stops all workers and waits for them.
    pub(crate) async fn stop_all(&mut self) -> anyhow::Result<()> {
        let partitions: Vec<_> = self.workers.keys().cloned().collect();
        self.stop(&partitions).await.map(drop)
    }

    fn start(&mut self, at: TopicPartition) {
        let stop = CancellationToken::new();
        let valve = ConsumerValve { consumer: self.line.consumer.clone(), at: at.clone() };
        let (sender, blocks) = queue(self.queued_blocks, Box::new(valve));
        let worker = PartitionWorker { line: Arc::clone(&self.line), at: at.clone(), blocks, stop: stop.clone() };
        let ended_at = at.clone();
        let task = self.tasks.spawn(async move { (ended_at, worker.run().await) });
        self.workers.insert(at, Worker { blocks: sender, stop, task });
    }

    async fn revoke(&mut self, partitions: Vec<TopicPartition>, ack: RevokeAck) -> anyhow::Result<()> {
        if ack.is_lost() {
            // Somebody else may decide already: not one decision more than those under way.
            for worker in partitions.iter().filter_map(|at| self.workers.remove(at)) {
                worker.task.abort();
            }
            return Ok(());
        }
        let positions = self.stop(&partitions).await?;
        fail_point("validate.before_revoke_ack").await;
        ack.done(positions);
        Ok(())
    }

    /// Stops workers and waits for them, each for its bounded time. Returns how far their decisions were delivered.
    async fn stop(&mut self, partitions: &[TopicPartition]) -> anyhow::Result<Vec<(TopicPartition, NextOffset)>> {
        let mut waiting = 0;
        for worker in partitions.iter().filter_map(|at| self.workers.remove(at)) {
            worker.stop.cancel();
            waiting += 1;
        }
        let mut positions = Vec::new();
        while waiting > 0 {
            let Some(ended) = self.tasks.join_next().await else { break };
            if let Some((at, next)) = settled(ended)? {
                if !partitions.contains(&at) {
                    return Err(anyhow!("work on {at} ended by itself"));
                }
                waiting -= 1;
                positions.extend(next.map(|next| (at, next)));
            }
        }
        Ok(positions)
    }
}

/// How a worker ended; `None` when it was aborted.
fn settled(ended: Result<Ended, JoinError>) -> anyhow::Result<Option<(TopicPartition, Option<NextOffset>)>> {
    match ended {
        Ok((at, Ok(next))) => Ok(Some((at, next))),
        Ok((at, Err(error))) => Err(error).with_context(|| format!("decide about {at}")),
        Err(error) if error.is_cancelled() => Ok(None),
        Err(error) => Err(error).context("decide about a partition"),
    }
}

fn numbers(partitions: &[TopicPartition]) -> Vec<i32> {
    partitions.iter().map(|at| at.partition).collect()
}
