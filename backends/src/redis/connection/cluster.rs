//! Several masters, each with some of the partitions.
//!
//! A line for each master, so that the loss of one is felt by its partitions only. `MOVED` is
//! followed: the call was not done. `ASK` is not: while a slot is on its way between two masters a
//! script would find part of its partition there and part here; its calls fail until it has arrived.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::connector::{Access, Target, host_and_port};
use super::request::Ask;
use super::server::{FIRST, Failure, Line, settings};
use super::slots;
use crate::redis::keys::Partition;

/// How often the cluster is asked who serves what: while everybody answers, and while not.
const ASK_EVERY: Duration = Duration::from_secs(10);
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// A failure makes many calls tell of it at once.
const GATHER: Duration = Duration::from_millis(20);
/// Masters that one call is sent on to.
const MOVES: usize = 4;

pub struct Cluster {
    shared: Arc<Shared>,
    known: watch::Receiver<bool>,
    keeper: JoinHandle<()>,
}

struct Shared {
    access: Arc<Access>,
    /// Nodes to ask while no master answers.
    seeds: Vec<String>,
    wait_replicas: u32,
    /// By address.
    lines: Mutex<HashMap<String, Arc<Line>>>,
    /// By partition.
    serving: RwLock<Vec<Option<Arc<Line>>>>,
    stale: Arc<Notify>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Cluster {
    /// Begins to connect; must be called inside a Tokio runtime.
    pub fn open(access: Arc<Access>, seeds: Vec<String>, wait_replicas: u32) -> Self {
        let shared = Arc::new(Shared {
            access,
            seeds,
            wait_replicas,
            lines: Mutex::default(),
            serving: RwLock::default(),
            stale: Arc::default(),
        });
        let (tell, known) = watch::channel(false);
        let keeper = tokio::spawn(keep(Arc::clone(&shared), tell));
        Self {
            shared,
            known,
            keeper,
        }
    }

    /// As [`Line::call`], at the master of the partition.
    pub async fn call<A: Ask>(&self, partition: Partition, call: &A) -> Result<A::Answer, Failure> {
        let mut line = self.serving(partition).await?;
        for _ in 0..MOVES {
            match line.call(call).await {
                Err(Failure::Redis(error)) => match moved_to(&error) {
                    Some(address) => line = self.shared.moved(partition, &address),
                    None => {
                        if shows_a_change(&error) {
                            self.shared.stale.notify_one();
                        }
                        return Err(Failure::Redis(error));
                    }
                },
                done => return done,
            }
        }
        Err(Failure::Away("the masters send a call in circles"))
    }

    async fn serving(&self, partition: Partition) -> Result<Arc<Line>, Failure> {
        self.settled().await;
        let serving = self.shared.serving.read();
        let line = serving.get(usize::from(partition)).cloned().flatten();
        line.ok_or(Failure::Away("no master serves the slot"))
    }

    /// The first calls wait for the cluster's first word.
    async fn settled(&self) {
        if !*self.known.borrow() {
            let mut known = self.known.clone();
            // Who waited in vain finds nobody who serves.
            let _ = timeout(FIRST, known.wait_for(|known| *known)).await;
        }
    }
}

/// The address that `MOVED` names; without a host, the one that said so is meant.
fn moved_to(error: &RedisError) -> Option<String> {
    let moved = matches!(error.kind(), ErrorKind::Server(ServerErrorKind::Moved));
    let (address, _) = error.redirect_node().filter(|_| moved)?;
    Some(address.to_owned()).filter(|address| !address.starts_with(':'))
}

fn shows_a_change(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(
            ServerErrorKind::Moved
                | ServerErrorKind::Ask
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::ReadOnly
        )
    )
}

impl Shared {
    fn line(&self, address: &str) -> Arc<Line> {
        let mut lines = self.lines.lock();
        let line = lines.entry(address.to_owned()).or_insert_with(|| {
            let target = Target::Server {
                access: Arc::clone(&self.access),
                address: address.to_owned(),
            };
            Arc::new(Line::open(
                target,
                self.wait_replicas,
                Arc::clone(&self.stale),
            ))
        });
        Arc::clone(line)
    }

    fn moved(&self, partition: Partition, address: &str) -> Arc<Line> {
        let line = self.line(address);
        if let Some(serving) = self.serving.write().get_mut(usize::from(partition)) {
            *serving = Some(Arc::clone(&line));
        }
        self.stale.notify_one();
        line
    }

    /// Takes over what the cluster says; lines to those who serve nothing end.
    fn install(&self, masters: Vec<Option<String>>) {
        let serving: Vec<_> = masters
            .iter()
            .map(|address| address.as_deref().map(|address| self.line(address)))
            .collect();
        let keep: std::collections::HashSet<_> = masters.into_iter().flatten().collect();
        *self.serving.write() = serving;
        self.lines
            .lock()
            .retain(|address, _| keep.contains(address));
    }

    /// Every partition has a master that answers.
    fn is_whole(&self) -> bool {
        let serving = self.serving.read();
        let served = |line: &Option<Arc<Line>>| line.as_ref().is_some_and(|line| line.is_up());
        !serving.is_empty() && serving.iter().all(served)
    }

    /// Asks one of the masters that answer, another one each `turn`, else the nodes of the settings.
    async fn ask(&self, turn: usize) -> Result<Vec<Option<String>>, Failure> {
        let mut up: Vec<_> = {
            let lines = self.lines.lock();
            let up = lines.iter().filter(|(_, line)| line.is_up());
            up.map(|(address, line)| (address.clone(), Arc::clone(line)))
                .collect()
        };
        up.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let mut failure = Failure::Away("no node of the cluster answers");
        for n in 0..up.len() {
            let (address, line) = &up[(turn + n) % up.len()];
            match line.call(&cluster_slots()).await {
                Ok(answer) => return Ok(slots::masters(&answer, host_and_port(address).0)),
                Err(error) => failure = error,
            }
        }
        for n in 0..self.seeds.len() {
            let seed = &self.seeds[(turn + n) % self.seeds.len()];
            let answer = async {
                let mut connection = self.access.connect(seed, &settings()).await?;
                cluster_slots().send(&mut connection).await
            };
            match answer.await {
                Ok(answer) => return Ok(slots::masters(&answer, host_and_port(seed).0)),
                Err(error) => failure = Failure::Redis(error),
            }
        }
        Err(failure)
    }
}

fn cluster_slots() -> Cmd {
    let mut slots = redis::cmd("CLUSTER");
    slots.arg("SLOTS");
    slots
}

/// Learns who serves what, for as long as it is polled.
async fn keep(shared: Arc<Shared>, tell: watch::Sender<bool>) {
    let mut answered = true;
    for turn in 0.. {
        match shared.ask(turn).await {
            Ok(masters) => {
                shared.install(masters);
                tell.send_replace(true);
                answered = true;
            }
            Err(failure) => {
                if answered {
                    answered = false;
                    let error = failure.of("redis.cluster");
                    tracing::error!(
                        exception.message = %error, "cannot ask the cluster; trying until it answers"
                    );
                }
                tell.send_replace(true);
            }
        }
        let pause = match shared.is_whole() {
            true => ASK_EVERY,
            false => ASK_AGAIN,
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = shared.stale.notified() => sleep(GATHER).await,
        }
    }
}
